"""Writes pillow/NAME, small picture files of many kinds, and pillow/NAME.ppm, what Pillow reads from each.
usage: pillow.py (made with Pillow 13.0)"""
import io, os, random, struct, zlib
from PIL import Image, ImageOps

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pillow")
os.makedirs(OUT, exist_ok=True)


def keep(name, data):
    im = Image.open(io.BytesIO(data))
    im = ImageOps.exif_transpose(im).convert("RGB")
    open(os.path.join(OUT, name), "wb").write(data)
    open(os.path.join(OUT, name + ".ppm"), "wb").write(b"P6 %d %d 255\n" % im.size + im.tobytes())


def drawn(w, h, mode="RGB", seed=1):
    """Smooth parts, edges and grain."""
    rng, n = random.Random(seed), len(mode)
    px = bytearray()
    for y in range(h):
        for x in range(w):
            for c in range(n):
                v = 40 + 5 * x * (c + 1) // 2 + 3 * y + (90 if (x // 7 + y // 5 + c) % 3 == 0 else 0) + rng.randrange(25)
                px.append(v % 256 if (x // 9) % 2 else min(v, 255))
    return Image.frombytes(mode, (w, h), bytes(px))


def saved(im, kind, **kw):
    b = io.BytesIO()
    im.save(b, kind, **kw)
    return b.getvalue()


def exif(n):
    e = Image.Exif()
    e[274] = n
    return e


# JPEG
for name, s in ("444", 0), ("422", 1), ("420", 2):
    keep(f"jpeg_{name}.jpg", saved(drawn(45, 37), "JPEG", quality=92, subsampling=s))
    keep(f"jpeg_{name}_progressive.jpg", saved(drawn(45, 37), "JPEG", quality=60, subsampling=s, progressive=True))
keep("jpeg_q100.jpg", saved(drawn(40, 30), "JPEG", quality=100, subsampling=2))
keep("jpeg_q5.jpg", saved(drawn(40, 30), "JPEG", quality=5))
keep("jpeg_restart.jpg", saved(drawn(45, 37), "JPEG", restart_marker_blocks=2))
keep("jpeg_restart_progressive.jpg", saved(drawn(45, 37), "JPEG", restart_marker_rows=1, progressive=True))
keep("jpeg_gray_progressive.jpg", saved(drawn(45, 37, "L"), "JPEG", progressive=True))
keep("jpeg_rgb.jpg", saved(drawn(33, 20), "JPEG", keep_rgb=True))
for w, h in (1, 1), (2, 3), (3, 2), (4, 4), (5, 1), (1, 6):
    keep(f"jpeg_{w}x{h}.jpg", saved(drawn(w, h), "JPEG", quality=90, subsampling=2))
for n in range(1, 9):
    keep(f"jpeg_exif_{n}.jpg", saved(drawn(11, 6), "JPEG", subsampling=0, exif=exif(n)))
cmyk = saved(drawn(45, 37, "CMYK"), "JPEG", quality=90)
keep("jpeg_cmyk.jpg", cmyk)
at = cmyk.index(b"Adobe")
keep("jpeg_ycck.jpg", cmyk[:at + 11] + b"\2" + cmyk[at + 12:])
keep("jpeg_cmyk_plain.jpg", cmyk[:at - 4] + cmyk[at + 12:])


def resampled(data, w, h, factors):
    """The same blocks under other sampling factors: other pictures, but valid files of kinds that Pillow cannot write."""
    at = data.index(b"\xff\xc0") + 5
    b = bytearray(data)
    b[at:at + 4] = struct.pack(">HH", h, w)
    for i, f in enumerate(factors):
        b[at + 6 + 3 * i] = f
    return bytes(b)


c420, c422 = saved(drawn(48, 48), "JPEG", subsampling=2), saved(drawn(48, 40), "JPEG", subsampling=1)
keep("jpeg_440.jpg", resampled(c422, 21, 75, (0x12, 0x11, 0x11)))       # 3 × 5 MCUs of 16 × 8 become 8 × 16
keep("jpeg_411.jpg", resampled(c420, 91, 23, (0x41, 0x11, 0x11)))
keep("jpeg_410.jpg", resampled(c420, 22, 93, (0x14, 0x11, 0x11)))
keep("jpeg_luma_halved.jpg", resampled(c420, 47, 45, (0x11, 0x22, 0x11)))
keep("jpeg_mixed.jpg", resampled(c420, 47, 45, (0x22, 0x11, 0x11)))
keep("jpeg_mixed_2.jpg", resampled(c420, 46, 23, (0x21, 0x21, 0x21)))


# PNG of every colour type and depth, interlaced or not
def png(w, h, color, depth, interlace=0, before=b"", after=b"", seed=2):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    rng = random.Random(seed)
    raw = b""
    for x0, y0, dx, dy in ([(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)] if interlace else [(0, 0, 1, 1)]):
        pw, ph = (w - x0 + dx - 1) // dx, (h - y0 + dy - 1) // dy
        for _ in range(ph if pw > 0 else 0):
            raw += bytes([rng.randrange(5)]) + rng.randbytes((pw * channels * depth + 7) // 8)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlace))
    if color == 3:
        head += chunk(b"PLTE", rng.randbytes(3 * 2 ** depth))
    for kind, body in before or []:
        head += chunk(kind, body)
    tail = b"".join(chunk(k, b) for k, b in after or [])
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(raw, 9)) + tail + chunk(b"IEND", b"")


for color, depths in (0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16)):
    for depth in depths:
        keep(f"png_{color}_{depth}.png", png(13, 9, color, depth))
        keep(f"png_{color}_{depth}_interlaced.png", png(13, 9, color, depth, 1))
for color, depth, trns in (0, 8, b"\0\x35"), (0, 16, b"\1\x35"), (2, 8, b"\0\1\0\2\0\3"), (2, 16, b"\1\1\2\2\3\3"), (3, 4, bytes(range(0, 160, 10))):
    keep(f"png_{color}_{depth}_transparent.png", png(13, 9, color, depth, before=[(b"tRNS", trns)]))
tiff = exif(6).tobytes()[6:]
keep("png_exif_before.png", png(13, 9, 2, 8, before=[(b"eXIf", tiff)]))
keep("png_exif_after.png", png(13, 9, 2, 8, after=[(b"eXIf", tiff)]))

# GIF
flat = drawn(31, 22).quantize(37)
for interlace in 0, 1:
    keep(f"gif_interlace_{interlace}.gif", saved(flat, "GIF", interlace=interlace))
keep("gif_transparent.gif", saved(flat, "GIF", transparency=3))
keep("gif_gray.gif", saved(drawn(20, 11, "L"), "GIF"))
anim = saved(flat, "GIF", save_all=True, append_images=[drawn(31, 22, seed=5).quantize(16)], transparency=5, duration=40, loop=0)
keep("gif_animation.gif", anim)


def screen(data, w, h, x=0, y=0):
    """Another screen size, and the first frame at (x, y)."""
    at = data.index(b",\0\0\0\0") + 1
    return data[:6] + struct.pack("<HH", w, h) + data[10:at] + struct.pack("<HH", x, y) + data[at + 4:]


keep("gif_part.gif", screen(saved(flat, "GIF"), 40, 30, 4, 3))
keep("gif_part_transparent.gif", screen(saved(flat, "GIF", transparency=3), 40, 30, 9, 8))
keep("gif_beyond.gif", screen(saved(flat, "GIF"), 20, 30, 4, 3))
g = saved(flat, "GIF")
keep("gif_no_table.gif", g[:10] + bytes([g[10] & 0x7f]) + g[11:13] + g[13 + (6 << (g[10] & 7)):])
n = 3 << ((g[10] & 7) + 1)
at = g.index(b",\0\0\0\0")
keep("gif_local_table.gif", g[:10] + bytes([g[10] & 0x7f]) + g[11:13] + g[13 + n:at + 9] + bytes([g[at + 9] | 0x80 | g[10] & 7]) + g[13:13 + n] + g[at + 10:])

# BMP
keep("bmp_1.bmp", saved(drawn(29, 13, "L").convert("1"), "BMP"))
keep("bmp_8.bmp", saved(flat, "BMP"))
keep("bmp_gray.bmp", saved(drawn(29, 13, "L"), "BMP"))
keep("bmp_24.bmp", saved(drawn(29, 13), "BMP"))
keep("bmp_32.bmp", saved(drawn(29, 13, "RGBA"), "BMP"))
b = saved(drawn(29, 13), "BMP")
keep("bmp_top_down.bmp", b[:22] + struct.pack("<i", -13) + b[26:])

# WebP
for w, h in (1, 1), (2, 2), (3, 5), (45, 37), (46, 36):
    keep(f"webp_lossy_{w}x{h}.webp", saved(drawn(w, h), "WEBP", quality=80))
keep("webp_lossy_q20.webp", saved(drawn(45, 37), "WEBP", quality=20))
keep("webp_lossy_alpha.webp", saved(drawn(45, 37, "RGBA"), "WEBP", quality=80))
keep("webp_lossless.webp", saved(drawn(45, 37), "WEBP", lossless=True))
keep("webp_lossless_alpha.webp", saved(drawn(45, 37, "RGBA"), "WEBP", lossless=True, exact=True))
keep("webp_lossless_palette.webp", saved(flat, "WEBP", lossless=True))
for lossless in False, True:
    keep(f"webp_animation_{int(lossless)}.webp", saved(drawn(45, 37), "WEBP", lossless=lossless, save_all=True, append_images=[drawn(45, 37, seed=3)], duration=50))
keep("webp_animation_part.webp", saved(Image.new("RGBA", (45, 37)), "WEBP", lossless=True, save_all=True, append_images=[drawn(45, 37, "RGBA")], duration=50))
for n in 3, 6:
    keep(f"webp_exif_{n}.webp", saved(drawn(21, 14), "WEBP", exif=exif(n)))
