// Products with weights on tensor cores: y = alpha·A·Wᵀ + beta·bias + residual for A
// [m, k] and W [n, k] of one 16-bit type, summed in float32. k is a multiple of 4.
//
// A group of 256 has 128 rows of W, and 128 or 64 rows of A; each of its eight warps has
// half of A's by 32 of W's. Tiles of 32 along k are fetched two ahead.

#define TILE 128
#define DEPTH 32
#define STAGES 3
#define CHUNKS (DEPTH / 8)  // of 16 bytes in a line of a tile

#if TYPE == F16
#define MMA MMA_F16
#define PACK PACK_F16
#else
#define MMA MMA_BF16
#define PACK PACK_BF16
#endif

// chunk_at is where a chunk of a line lies in a tile, in 16 bytes. Eight lines that one
// ldmatrix reads lie in different banks.
DEVICE u32 chunk_at(u32 line, u32 chunk) { return line * CHUNKS + (chunk ^ (line >> 1 & 3u)); }

// fetch brings so many lines of a tile; what is beyond the matrix is 0.
DEVICE void fetch(LOCAL u16* tile, u32 tall, GLOBAL const u16* x, u32 first, u32 lines, u32 from, u32 k) {
  for (u32 i = (u32)LID(); i < tall * CHUNKS; i += 256u) {
    u32 line = i / CHUNKS, chunk = i % CHUNKS, at = from + chunk * 8u, row = first + line;
    int have = row < lines && at < k ? (int)(k - at < 8u ? k - at : 8u) * 2 : 0;
    GLOBAL const u16* source = x + (have ? (u64)row * k + at : 0u);
    LOCAL u16* to = tile + chunk_at(line, chunk) * 8u;
    if (k % 8u == 0u) {
      COPY_ASYNC_16(to, source, have);
    } else {
      COPY_ASYNC_8(to, source, have < 8 ? have : 8);
      COPY_ASYNC_8(to + 4, have > 8 ? source + 4 : source, have > 8 ? have - 8 : 0);
    }
  }
  COPY_COMMIT();
}

typedef struct {
  i32 m, n, k;
  i32 biased, added;
  float alpha, beta;
} Shape;

// put finishes two sums beside each other, the second only where it is inside.
DEVICE void put(GLOBAL const void* bias, GLOBAL const void* residual, GLOBAL void* y, const Shape* s, u32 r, u32 c, float x, float z) {
  u32 n = (u32)s->n, at = r * n + c;
  float v[2];
  v[0] = x * s->alpha;
  v[1] = z * s->alpha;
  for (u32 e = 0; e < 2u && c + e < n; e++) {
    if (s->biased) v[e] += float_at(bias, TYPE, c + e) * s->beta;
    if (s->added) v[e] += float_at(residual, TYPE, at + e);
  }
  if (n % 2u == 0u) {
    ((GLOBAL u32*)y)[at / 2u] = PACK(v[0], v[1]);
    return;
  }
  for (u32 e = 0; e < 2u && c + e < n; e++) float_to(y, TYPE, at + e, v[e]);
}

// group 0 chooses the rows of A, group 1 those of W, so that groups that run side by
// side share weights. FRAGMENTS is how many times 32 rows of A a group has.
#define GEMM(NAME, FRAGMENTS) \
KERNEL void NAME(GLOBAL const u16* a, GLOBAL const u16* w, GLOBAL const void* bias, GLOBAL const void* residual, GLOBAL void* y, Shape s) { \
  LOCALS16(u16, tiles, STAGES * (FRAGMENTS * 32 + TILE) * DEPTH); \
  const u32 tall = FRAGMENTS * 32u, each = (tall + TILE) * DEPTH; \
  u32 m = (u32)s.m, n = (u32)s.n, k = (u32)s.k; \
  u32 row = (u32)GROUP(0) * tall, col = (u32)GROUP(1) * TILE; \
  u32 lane = (u32)LID() % 32u, warp = (u32)LID() / 32u, wm = warp / 4u * (tall / 2u), wn = warp % 4u * 32u; \
  float sum[FRAGMENTS][4][4]; \
  for (int i = 0; i < FRAGMENTS; i++) for (int j = 0; j < 4; j++) for (int e = 0; e < 4; e++) sum[i][j][e] = 0.0f; \
  u32 steps = (k + DEPTH - 1u) / DEPTH; \
  for (u32 i = 0; i < STAGES - 1; i++) { \
    fetch(tiles + i * each, tall, a, row, m, i * DEPTH, k); \
    fetch(tiles + i * each + tall * DEPTH, TILE, w, col, n, i * DEPTH, k); \
  } \
  for (u32 step = 0; step < steps; step++) { \
    COPY_WAIT(2); /* the fetches of one tile */ \
    BARRIER(); \
    u32 next = step + STAGES - 1u; \
    LOCAL u16* stage = tiles + next % STAGES * each; \
    fetch(stage, tall, a, row, m, next * DEPTH, k); \
    fetch(stage + tall * DEPTH, TILE, w, col, n, next * DEPTH, k); \
    LOCAL u16* ta = tiles + step % STAGES * each; \
    LOCAL u16* tw = ta + tall * DEPTH; \
    UNROLL for (u32 kk = 0; kk < 2; kk++) { \
      u32 fa[FRAGMENTS][4], fw[2][4]; \
      UNROLL for (u32 i = 0; i < FRAGMENTS; i++) \
        LDMATRIX(fa[i], ta + chunk_at(wm + i * 16u + lane % 16u, kk * 2u + lane / 16u) * 8u); \
      UNROLL for (u32 j = 0; j < 2; j++) \
        LDMATRIX(fw[j], tw + chunk_at(wn + j * 16u + lane % 8u + lane / 16u * 8u, kk * 2u + lane / 8u % 2u) * 8u); \
      UNROLL for (u32 i = 0; i < FRAGMENTS; i++) \
        UNROLL for (u32 j = 0; j < 4; j++) \
          MMA(sum[i][j], fa[i], fw[j / 2u] + j % 2u * 2u); \
    } \
  } \
  COPY_WAIT(0); \
  UNROLL for (u32 i = 0; i < FRAGMENTS; i++) UNROLL for (u32 j = 0; j < 4; j++) UNROLL for (u32 e = 0; e < 2; e++) { \
    u32 r = row + wm + i * 16u + lane / 4u + e * 8u, c = col + wn + j * 8u + lane % 4u * 2u; \
    if (r < m && c < n) put(bias, residual, y, &s, r, c, sum[i][j][2 * e], sum[i][j][2 * e + 1]); \
  } \
}

GEMM(gemm, 4)
GEMM(gemm64, 2)
