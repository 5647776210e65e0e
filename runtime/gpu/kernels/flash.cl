// Attention on tensor cores for many rows: what attention.cl computes, from q, k and v
// of one 16-bit type whose vectors begin at multiples of 16 bytes.
//
// A group of 256 has 128 vectors, each of its eight warps 16 of them; keys come 64 at a
// time: the keys of the next tile while the values of this one are used, and the
// other way round. Where keys are split, each group leaves its part as attend does (Dao, "FlashAttention-2", 2023).

#define MANY 128
#define KEYS 64

#if TYPE == F16
#define MMA MMA_F16
#define PACK PACK_F16
#else
#define MMA MMA_BF16
#define PACK PACK_BF16
#endif

// chunk_of is where 16 bytes of a line of so many chunks lie, in elements. Eight lines
// that one ldmatrix reads lie in different banks.
DEVICE u32 chunk_of(u32 line, u32 chunk, u32 chunks) {
  u32 turn = chunks % 8u == 0u ? line & 7u : chunks % 4u == 0u ? line >> 1 & 3u : 0u;
  return (line * chunks + (chunk ^ turn)) * 8u;
}

// bring fetches lines of a matrix; those from count on are 0.
DEVICE void bring(LOCAL u16* tile, GLOBAL const u16* x, int apart, int lines, int count, u32 chunks) {
  for (u32 i = (u32)LID(); i < (u32)lines * chunks; i += 256u) {
    u32 line = i / chunks, chunk = i % chunks;
    int have = (int)line < count ? 16 : 0;
    COPY_ASYNC_16(tile + chunk_of(line, chunk, chunks), x + (have ? (i64)line * apart + chunk * 8u : 0), have);
  }
  COPY_COMMIT();
}

// CHUNKS is how many times eight numbers a head has: an even number.
#define FLASH(NAME, CHUNKS) \
KERNEL void NAME(GLOBAL const u16* q, GLOBAL const u16* k, GLOBAL const u16* v, GLOBAL const void* at, GLOBAL u16* y, GLOBAL float* parts, Heads h) { \
  LOCALS16(u16, tiles, 2 * KEYS * CHUNKS * 8); \
  LOCALS(int, lows, MANY); \
  LOCALS(int, highs, MANY); \
  int id = LID(), batch = GROUP(1) / h.kv_heads, head = GROUP(1) % h.kv_heads; \
  int vectors = h.rows * h.group, first = GROUP(0) * MANY; \
  u32 lane = (u32)id % 32u, warp = (u32)id / 32u; \
  if (id < MANY) { \
    int a = 0, b = 0; \
    if (first + id < vectors) seen(at, &h, batch, (first + id) / h.group, &a, &b); \
    lows[id] = a; \
    highs[id] = b; \
    int vec = first + id < vectors ? first + id : vectors - 1; \
    GLOBAL const u16* from = q + (batch * h.q_batch + vec / h.group * h.q_row + (head * h.group + vec % h.group) * h.q_head); \
    for (u32 c = 0; c < CHUNKS; c++) COPY_ASYNC_16(tiles + chunk_of((u32)id, c, CHUNKS), from + c * 8u, 16); \
    COPY_COMMIT(); \
  } \
  COPY_WAIT(0); \
  BARRIER(); \
  int from = h.keys, to = 0; \
  for (int n = 0; n < MANY; n++) { \
    if (lows[n] < highs[n]) { \
      if (lows[n] < from) from = lows[n]; \
      if (highs[n] > to) to = highs[n]; \
    } \
  } \
  if (h.split) { \
    int a = GROUP(2) * h.split; \
    if (a > from) from = a; \
    if (a + h.split < to) to = a + h.split; \
  } \
  from = from / KEYS * KEYS; \
  u32 fq[CHUNKS / 2][4]; \
  UNROLL for (u32 d = 0; d < CHUNKS / 2; d++) LDMATRIX(fq[d], tiles + chunk_of(warp * 16u + lane % 16u, d * 2u + lane / 16u, CHUNKS)); \
  int lo[2], hi[2]; \
  float top[2], sum[2], out[CHUNKS][4]; \
  for (int r = 0; r < 2; r++) { \
    lo[r] = lows[warp * 16u + lane / 4u + 8u * (u32)r]; \
    hi[r] = highs[warp * 16u + lane / 4u + 8u * (u32)r]; \
    top[r] = -INFINITY; \
    sum[r] = 0.0f; \
  } \
  UNROLL for (u32 c = 0; c < CHUNKS; c++) for (int e = 0; e < 4; e++) out[c][e] = 0.0f; \
  BARRIER(); \
  LOCAL u16* tk = tiles; \
  LOCAL u16* tv = tiles + KEYS * CHUNKS * 8; \
  k += batch * h.k_batch + head * h.k_head; \
  v += batch * h.v_batch + head * h.v_head; \
  bring(tk, k + (i64)from * h.k_row, h.k_row, KEYS, to - from, CHUNKS); \
  for (int k0 = from; k0 < to; k0 += KEYS) { \
    bring(tv, v + (i64)k0 * h.v_row, h.v_row, KEYS, to - k0, CHUNKS); \
    COPY_WAIT(1); \
    BARRIER(); \
    float s[KEYS / 8][4]; \
    UNROLL for (u32 j = 0; j < KEYS / 8; j++) for (int e = 0; e < 4; e++) s[j][e] = 0.0f; \
    UNROLL for (u32 d = 0; d < CHUNKS / 2; d++) \
      UNROLL for (u32 j = 0; j < KEYS / 16; j++) { \
        u32 f[4]; \
        LDMATRIX(f, tk + chunk_of(j * 16u + lane % 8u + lane / 16u * 8u, d * 2u + lane / 8u % 2u, CHUNKS)); \
        MMA(s[2 * j], fq[d], f); \
        MMA(s[2 * j + 1], fq[d], f + 2); \
      } \
    BARRIER(); \
    bring(tk, k + (i64)(k0 + KEYS) * h.k_row, h.k_row, KEYS, to - k0 - KEYS, CHUNKS); \
    UNROLL for (int r = 0; r < 2; r++) { \
      float m = top[r]; \
      UNROLL for (u32 j = 0; j < KEYS / 8; j++) UNROLL for (int e = 0; e < 2; e++) { \
        int key = k0 + (int)(j * 8u + lane % 4u * 2u) + e; \
        float x = key >= lo[r] && key < hi[r] ? s[j][2 * r + e] * h.scale : -INFINITY; \
        s[j][2 * r + e] = x; \
        m = fmax(m, x); \
      } \
      m = fmax(m, SHUFFLE(m, 1u)); \
      m = fmax(m, SHUFFLE(m, 2u)); \
      float base = m == -INFINITY ? 0.0f : m, shrink = FAST_EXP(top[r] - base), l = 0.0f; \
      UNROLL for (u32 j = 0; j < KEYS / 8; j++) UNROLL for (int e = 0; e < 2; e++) { \
        float p = FAST_EXP(s[j][2 * r + e] - base); \
        s[j][2 * r + e] = p; \
        l += p; \
      } \
      top[r] = m; \
      sum[r] = sum[r] * shrink + l; \
      UNROLL for (u32 c = 0; c < CHUNKS; c++) UNROLL for (int e = 0; e < 2; e++) out[c][2 * r + e] *= shrink; \
    } \
    COPY_WAIT(1); \
    BARRIER(); \
    UNROLL for (u32 j = 0; j < KEYS / 16; j++) { \
      u32 p[4]; \
      p[0] = PACK(s[2 * j][0], s[2 * j][1]); \
      p[1] = PACK(s[2 * j][2], s[2 * j][3]); \
      p[2] = PACK(s[2 * j + 1][0], s[2 * j + 1][1]); \
      p[3] = PACK(s[2 * j + 1][2], s[2 * j + 1][3]); \
      UNROLL for (u32 c = 0; c < CHUNKS / 2; c++) { \
        u32 f[4]; \
        LDMATRIX_T(f, tv + chunk_of(j * 16u + lane % 16u, c * 2u + lane / 16u, CHUNKS)); \
        MMA(out[2 * c], p, f); \
        MMA(out[2 * c + 1], p, f + 2); \
      } \
    } \
    BARRIER(); \
  } \
  COPY_WAIT(0); \
  UNROLL for (u32 r = 0; r < 2; r++) { \
    float l = sum[r]; \
    l += SHUFFLE(l, 1u); \
    l += SHUFFLE(l, 2u); \
    float inv = l > 0.0f || l != l ? 1.0f / l : 0.0f; \
    int vec = first + (int)(warp * 16u + lane / 4u + 8u * r); \
    if (vec >= vectors) continue; \
    if (h.split) { \
      GLOBAL float* unit = parts + (u64)((GROUP(1) * vectors + vec) * h.splits + GROUP(2)) * (u64)(h.width + 2); \
      UNROLL for (u32 c = 0; c < CHUNKS; c++) UNROLL for (u32 e = 0; e < 2; e++) \
        unit[2u + c * 8u + lane % 4u * 2u + e] = out[c][2 * r + e]; \
      unit[0] = top[r]; \
      unit[1] = l; \
      continue; \
    } \
    GLOBAL u16* to_ = y + (batch * h.y_batch + vec / h.group * h.y_row + (head * h.group + vec % h.group) * h.y_head); \
    UNROLL for (u32 c = 0; c < CHUNKS; c++) \
      *(GLOBAL u32*)(to_ + c * 8u + lane % 4u * 2u) = PACK(out[c][2 * r] * inv, out[c][2 * r + 1] * inv); \
  } \
}

FLASH(flash32, 4)
FLASH(flash64, 8)
FLASH(flash80, 10)
FLASH(flash128, 16)
