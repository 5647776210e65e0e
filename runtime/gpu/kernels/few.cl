// Products of few rows with weights on tensor cores: y = alpha·A·Wᵀ + beta·bias +
// residual for A [m, k] of a 16-bit type, m up to 16, and W [n, k] of the same type or
// in blocks of 4- or 8-bit numbers. What bounds them is reading the weights, so each is
// read once, sixteen bytes at a time and some ahead of what is being multiplied.
//
// One launch has up to three sets of weights, one behind the other, that multiply the
// same A. A may be normalised first (RMSNormalization), and two sets may be gate and
// value of SwiGLU: y = swish(gate)·value.
//
// A tile is 16 rows of W, or 8 of each set of a gate. They are the tall side of the tensor
// cores' product, the rows of A its columns. Stretches of 128 numbers along k go in turn to
// the warps that share a tile, whose sums are added at the end: to more the fewer tiles there
// are. A row's sums are its own and their order does not depend on m.

#if W_TYPE == Q8
#define QUADS 2  // of 16 bytes that a lane reads of a row's stretch
#else
#define QUADS 4
#endif

// Line is one row of W as a lane reads it.
typedef struct {
  GLOBAL const u8* w;
  u32 bytes;  // of the row
#ifdef BLOCKED
  GLOBAL const u16* scales;
  GLOBAL const u8* zeros;
#endif
} Line;

// Piece is what a lane has read of a stretch of a row.
typedef struct {
  u32 w[4 * QUADS];
#ifdef BLOCKED
  u32 scales[2], zeros;
#endif
} Piece;

// read brings a lane's part of stretch s of a row: 16 bytes of every 64; what is beyond the
// row is 0.
#ifdef BLOCKED
DEVICE void read(Piece* p, const Line* x, u32 s, u32 t, const Grid* q) {
#else
DEVICE void read(Piece* p, const Line* x, u32 s, u32 t) {
#endif
  UNROLL for (u32 i = 0; i < QUADS; i++) {
    u32 at = (s * QUADS + i) * 64u + t * 16u;
    uint4 v;
    v.x = v.y = v.z = v.w = 0u;
    if (at < x->bytes) v = *(GLOBAL const uint4*)(x->w + at);
    p->w[4 * i] = v.x;
    p->w[4 * i + 1] = v.y;
    p->w[4 * i + 2] = v.z;
    p->w[4 * i + 3] = v.w;
  }
#ifdef BLOCKED
  u32 shift = (u32)q->shift, last = (u32)q->blocks - 1u, b[4];
  UNROLL for (u32 j = 0; j < 4; j++) {
    b[j] = (s * 4u + j) >> shift;
    if (b[j] > last) b[j] = last;
  }
  if (q->even) {
    u64 v = ((GLOBAL const u64*)x->scales)[s];
    p->scales[0] = (u32)v;
    p->scales[1] = (u32)(v >> 32);
  } else {
    p->scales[0] = x->scales[b[0]] | (u32)x->scales[b[1]] << 16;
    p->scales[1] = x->scales[b[2]] | (u32)x->scales[b[3]] << 16;
  }
  p->zeros = 0u;
  if (q->zeros_row) {
    UNROLL for (u32 j = 0; j < 4; j++) p->zeros |= (u32)x->zeros[b[j]] << (8u * j);
  } else {
    p->zeros = (u32)q->zero * 0x01010101u;
  }
#endif
}

#ifdef BLOCKED
// scale_of has no branch, so that chunks stay one stretch of code.
DEVICE float scale_of(const Piece* p, u32 j, int type) {
  u32 u = p->scales[j / 2u] >> (j % 2u * 16u) & 0xffffu;
  float half_ = f16_f32((u16)u);
  return type == F16 ? half_ : BF16_F32(u);
}
#endif

#if W_TYPE == Q8
// turn: of each two chunks, lanes 0 and 1 have the first and 2 and 3 the second; it gives
// each its quarter of both.
DEVICE void turn(u32* w, u32 t) {
  u32 high = t & 2u;
  UNROLL for (u32 i = 0; i < 8; i++) {
    if (i % 4u >= 2u) continue;
    u32 r = AS_U32(SHUFFLE(AS_F32(high ? w[i] : w[i + 2]), 2u));
    if (high) w[i] = r;
    else w[i + 2] = r;
  }
}
#define PART(t) (((t) & 1u) << 1 | (t) >> 1)

DEVICE void numbers(const Piece* p, u32 j, u32* v) {
  UNROLL for (u32 i = 0; i < 4; i++) {  // bytes 0 and 2, 1 and 3 of both words
    u32 u = p->w[2u * j + i / 2u] >> (i % 2u * 8u) & 0x00ff00ffu;
#if A_TYPE == F16
    v[i] = SUB2(u | 0x64006400u, BYTE2(p->zeros, j, 0x64u));
#else
    i32 z = (i32)(p->zeros >> (8u * j) & 255u);
    v[i] = PACK((float)((i32)(u & 0xffffu) - z), (float)((i32)(u >> 16) - z));
#endif
  }
}

DEVICE void order(u32* x) {
  u32 a = x[0], b = x[1], c = x[2], d = x[3];
  x[0] = (a & 0xffffu) | b << 16;
  x[1] = a >> 16 | (b & 0xffff0000u);
  x[2] = (c & 0xffffu) | d << 16;
  x[3] = c >> 16 | (d & 0xffff0000u);
}
#else
DEVICE void turn(u32* w, u32 t) {}
#define PART(t) (t)
DEVICE void numbers(const Piece* p, u32 j, u32* v) {
  UNROLL for (u32 i = 0; i < 4; i++) v[i] = p->w[4u * j + i];
}
DEVICE void order(u32* x) {}
#endif

// TILES is how many times eight rows of A there are, SIZE the work-items of a
// group, HELD how many groups a processor holds.
#define FEW(NAME, TILES, NORMED, SIZE, HELD) \
KERNEL ITEMS(SIZE, HELD) void NAME(FEW_PARAMETERS) { \
  LOCALS(float, part, NORMED ? 8 * SIZE : SIZE * TILES * 4); \
  LOCALS16(u16, rows, NORMED ? ROOM + 8 * APART : 8); \
  FEW_PLACE(SIZE) \
  Line line[2]; \
  LINE(line[0], upper, one) \
  LINE(line[1], lower, other) \
  Piece piece[2]; \
  u32 s = first; \
  if (s < stretches) { READ(piece[0], line[0], s) READ(piece[1], line[1], s) } \
  if (NORMED) normalise(a, gain, f.gain, m, k, k, f.epsilon, part, rows); \
  float sum[TILES][4]; \
  for (int i = 0; i < TILES; i++) for (int e = 0; e < 4; e++) sum[i][e] = 0.0f; \
  for (; s < stretches; s += share) { \
    u32 at = s * STRETCH + PART(t) * 8u; \
    u32 x[TILES][4][4]; \
    UNROLL for (u32 i = 0; i < TILES; i++) UNROLL for (u32 j = 0; j < 4; j++) { \
      if (NORMED) { \
        fetch_local(rows + g * (k + APART), g < m, at + j * 32u, k, x[i][j]); \
      } else { \
        fetch(a, i * 8u + g, m, at + j * 32u, k, x[i][j]); \
        order(x[i][j]); \
      } \
    } \
    turn(piece[0].w, t); \
    turn(piece[1].w, t); \
    UNROLL for (u32 j = 0; j < 4; j++) { \
      u32 lo[4], hi[4], wa[4], wb[4]; \
      numbers(&piece[0], j, lo); \
      numbers(&piece[1], j, hi); \
      wa[0] = lo[0]; wa[1] = hi[0]; wa[2] = lo[1]; wa[3] = hi[1]; \
      wb[0] = lo[2]; wb[1] = hi[2]; wb[2] = lo[3]; wb[3] = hi[3]; \
      UNROLL for (u32 i = 0; i < TILES; i++) { CHUNK(sum[i], wa, wb, x[i][j], piece, j) } \
    } \
    if (s + share < stretches) { READ(piece[0], line[0], s + share) READ(piece[1], line[1], s + share) } \
  } \
  BARRIER(); \
  for (u32 i = 0; i < TILES; i++) for (u32 e = 0; e < 4; e++) part[((warp * TILES + i) * 8u + t * 2u + e % 2u) * 16u + g + e / 2u * 8u] = sum[i][e]; \
  FEW_END(SIZE, 8u * TILES) \
}

#ifdef BLOCKED
#define LINE(x, r, set) \
  x.bytes = (u32)q.row; \
  x.w = OF(w, set) + (u64)r * (u32)q.row; \
  x.scales = OF(scales, set) + (u64)r * (u32)q.blocks; \
  x.zeros = OF(zeros, set) + (u64)r * (u32)q.zeros_row;
#define READ(p, x, s) read(&p, &x, s, t, &q);
// CHUNK scales the sums of a chunk, which is in one block.
#define CHUNK(sum, wa, wb, x, p, j) { \
  float c[4], s0_ = scale_of(&p[0], j, q.scale_type), s1_ = scale_of(&p[1], j, q.scale_type); \
  c[0] = c[1] = c[2] = c[3] = 0.0f; \
  MMA(c, wa, x); \
  MMA(c, wb, x + 2); \
  sum[0] = fma(c[0], s0_, sum[0]); \
  sum[1] = fma(c[1], s0_, sum[1]); \
  sum[2] = fma(c[2], s1_, sum[2]); \
  sum[3] = fma(c[3], s1_, sum[3]); }
#else
#define LINE(x, r, set) x.bytes = k * 2u; x.w = OF(w, set) + (u64)r * (k * 2u);
#define READ(p, x, s) read(&p, &x, s, t);
#define CHUNK(sum, wa, wb, x, p, j) MMA(sum, wa, x); MMA(sum, wb, x + 2);
#endif

FEW(few8, 1, 0, 256, 3)
FEW(few16, 2, 0, 256, 1)
FEW(norm8, 1, 1, 256, 3)
FEW(wide8, 1, 0, 512, 1)
FEW(wide16, 2, 0, 512, 1)
