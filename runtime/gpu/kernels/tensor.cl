// Products with weights on tensor cores: y = alpha·A·Wᵀ + beta·bias + residual for A
// [m, k] and W [n, k] of one 16-bit type, summed in float32. k is a multiple of 4.
//
// A group of 256 has 128 rows of A by 128 rows of W; each of its eight warps 64 by 32
// of the sums. Tiles of 32 along k are fetched two ahead.

#define TILE 128
#define DEPTH 32
#define STAGES 3
#define CHUNKS (DEPTH / 8)  // of 16 bytes in a line of a tile

#if TYPE == F16
#define MMA MMA_F16
#else
#define MMA MMA_BF16
#endif

// chunk_at is where a chunk of a line lies in a tile, in 16 bytes. Eight lines that one
// ldmatrix reads lie in different banks.
DEVICE u32 chunk_at(u32 line, u32 chunk) { return line * CHUNKS + (chunk ^ (line >> 1 & 3u)); }

// fetch brings 128 lines of a tile; what is beyond the matrix is 0.
DEVICE void fetch(LOCAL u16* tile, GLOBAL const u16* x, u32 first, u32 lines, u32 from, u32 k) {
  for (u32 i = (u32)LID(); i < TILE * CHUNKS; i += 256u) {
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

// gemm: group 0 chooses the rows of A, group 1 those of W, so that groups that run side
// by side share weights.
KERNEL void gemm(GLOBAL const u16* a, GLOBAL const u16* w, GLOBAL const void* bias, GLOBAL const void* residual, GLOBAL void* y, Shape s) {
  LOCALS16(u16, tiles, STAGES * 2 * TILE * DEPTH);
  u32 m = (u32)s.m, n = (u32)s.n, k = (u32)s.k;
  u32 row = (u32)GROUP(0) * TILE, col = (u32)GROUP(1) * TILE;
  u32 lane = (u32)LID() % 32u, warp = (u32)LID() / 32u, wm = warp / 4u * 64u, wn = warp % 4u * 32u;
  float sum[4][4][4];
  for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) for (int e = 0; e < 4; e++) sum[i][j][e] = 0.0f;

  u32 steps = (k + DEPTH - 1u) / DEPTH;
  for (u32 i = 0; i < STAGES - 1; i++) {
    LOCAL u16* stage = tiles + i * 2u * TILE * DEPTH;
    fetch(stage, a, row, m, i * DEPTH, k);
    fetch(stage + TILE * DEPTH, w, col, n, i * DEPTH, k);
  }
  for (u32 step = 0; step < steps; step++) {
    COPY_WAIT(2);  // the fetches of one tile
    BARRIER();
    u32 next = step + STAGES - 1u;
    LOCAL u16* stage = tiles + next % STAGES * 2u * TILE * DEPTH;
    fetch(stage, a, row, m, next * DEPTH, k);
    fetch(stage + TILE * DEPTH, w, col, n, next * DEPTH, k);
    LOCAL u16* ta = tiles + step % STAGES * 2u * TILE * DEPTH;
    LOCAL u16* tw = ta + TILE * DEPTH;
    UNROLL for (u32 kk = 0; kk < 2; kk++) {
      u32 fa[4][4], fw[2][4];
      UNROLL for (u32 i = 0; i < 4; i++)
        LDMATRIX(fa[i], ta + chunk_at(wm + i * 16u + lane % 16u, kk * 2u + lane / 16u) * 8u);
      UNROLL for (u32 j = 0; j < 2; j++)
        LDMATRIX(fw[j], tw + chunk_at(wn + j * 16u + lane % 8u + lane / 16u * 8u, kk * 2u + lane / 8u % 2u) * 8u);
      UNROLL for (u32 i = 0; i < 4; i++)
        UNROLL for (u32 j = 0; j < 4; j++)
          MMA(sum[i][j], fa[i], fw[j / 2u] + j % 2u * 2u);
    }
  }
  COPY_WAIT(0);
  UNROLL for (u32 i = 0; i < 4; i++) UNROLL for (u32 j = 0; j < 4; j++) UNROLL for (u32 e = 0; e < 4; e++) {
    u32 r = row + wm + i * 16u + lane / 4u + e / 2u * 8u, c = col + wn + j * 8u + lane % 4u * 2u + e % 2u;
    if (r >= m || c >= n) continue;
    float v = sum[i][j][e] * s.alpha;
    if (s.biased) v += float_at(bias, TYPE, c) * s.beta;
    if (s.added) v += float_at(residual, TYPE, r * n + c);
    float_to(y, TYPE, r * n + c, v);
  }
}
