// Products with weights: y = alpha·A·Wᵀ + beta·bias + residual for A [m, k] and W
// [n, k], summed in float32. A_TYPE and W_TYPE say how the two are stored; bias,
// residual and y are of one type.
//
// A row's sums are its own and their order does not depend on m, so that up to few
// rows (gemv1, gemv4) give the same bits however many there are.

#define Q4 4
#define Q8 8

// Blocks are quantised weights: rows of numbers in blocks, each number less its zero
// point times its scale. A row of weights takes so many bytes.
typedef struct {
  i32 block, blocks;  // numbers in a block, blocks in a row
  i32 zeros;          // 0: none, 1: packed as the numbers are, 2: floats
  i32 zero;           // where there are none
  i32 zeros_row;      // numbers in a row of packed zero points
  i32 scale_type;
  i32 row;            // bytes
} Blocks;

#if W_TYPE == Q4 || W_TYPE == Q8
#define WEIGHTS GLOBAL const u8* w, GLOBAL const void* scales, GLOBAL const void* zeros, Blocks q
#define GIVEN w, scales, zeros, &q
#define TAKEN GLOBAL const u8* w, GLOBAL const void* scales, GLOBAL const void* zeros, const Blocks* q

// block_of tells the scale of a block and its zero point, as a float.
DEVICE void block_of(TAKEN, u32 n, u32 b, float* scale, float* zero) {
  *scale = float_at(scales, q->scale_type, n * (u32)q->blocks + b);
  if (q->zeros == 0) *zero = (float)q->zero;
  else if (q->zeros == 2) *zero = float_at(zeros, q->scale_type, n * (u32)q->blocks + b);
  else {
    u32 i = n * (u32)q->zeros_row + b;
#if W_TYPE == Q4
    *zero = (float)(((GLOBAL const u8*)zeros)[i >> 1] >> ((i & 1u) * 4u) & 15);
#else
    *zero = (float)((GLOBAL const u8*)zeros)[i];
#endif
  }
}

DEVICE float weight(TAKEN, u32 n, u32 i, u32 k) {
  float s, z;
  block_of(w, scales, zeros, q, n, i / (u32)q->block, &s, &z);
  GLOBAL const u8* row = w + (u64)n * (u64)q->row;
#if W_TYPE == Q4
  return ((float)(row[i >> 1] >> ((i & 1u) * 4u) & 15) - z) * s;
#else
  return ((float)row[i] - z) * s;
#endif
}

DEVICE void weights(TAKEN, u32 n, u32 c, u32 k, float* v) {
  float s, z;
  block_of(w, scales, zeros, q, n, c * 8u / (u32)q->block, &s, &z);
  GLOBAL const u8* row = w + (u64)n * (u64)q->row;
#if W_TYPE == Q4
  u32 x = ((GLOBAL const u32*)row)[c];
  for (int i = 0; i < 8; i++) v[i] = ((float)(int)(x >> (4 * i) & 15u) - z) * s;
#else
  u32 x = ((GLOBAL const u32*)row)[2 * c], y = ((GLOBAL const u32*)row)[2 * c + 1];
  for (int i = 0; i < 4; i++) v[i] = ((float)(int)(x >> (8 * i) & 255u) - z) * s;
  for (int i = 0; i < 4; i++) v[4 + i] = ((float)(int)(y >> (8 * i) & 255u) - z) * s;
#endif
}
#else
#define WEIGHTS GLOBAL const void* w
#define GIVEN w
#define TAKEN GLOBAL const void* w

DEVICE float weight(TAKEN, u32 n, u32 i, u32 k) {
  u64 at = (u64)n * k + i;
#if W_TYPE == F32
  return ((GLOBAL const float*)w)[at];
#elif W_TYPE == F16
  return F16_AT(w, at);
#else
  return BF16_F32(((GLOBAL const u16*)w)[at]);
#endif
}

DEVICE void weights(TAKEN, u32 n, u32 c, u32 k, float* v) {
  u64 at = (u64)n * (k / 8u) + c;
#if W_TYPE == F32
  f32_8(w, at, v);
#elif W_TYPE == F16
  f16_8(w, at, v);
#else
  bf16_8(w, at, v);
#endif
}
#endif

DEVICE float left(GLOBAL const void* a, u64 i) {
#if A_TYPE == F32
  return ((GLOBAL const float*)a)[i];
#elif A_TYPE == F16
  return F16_AT(a, i);
#else
  return BF16_F32(((GLOBAL const u16*)a)[i]);
#endif
}

DEVICE void lefts(GLOBAL const void* a, u64 c, float* v) {
#if A_TYPE == F32
  f32_8(a, c, v);
#elif A_TYPE == F16
  f16_8(a, c, v);
#else
  bf16_8(a, c, v);
#endif
}

#if W_TYPE == Q4 || W_TYPE == Q8
// unpack writes the weights as numbers of A's type, four a work-item; k is a multiple
// of four.
KERNEL void unpack(WEIGHTS, GLOBAL void* y, int n, int k) {
  EACH(i, (u32)n * ((u32)k / 4u)) {
    u32 row = i / ((u32)k / 4u), at = i % ((u32)k / 4u) * 4u;
    for (u32 e = 0; e < 4u; e++) float_to(y, A_TYPE, row * (u32)k + at + e, weight(GIVEN, row, at + e, (u32)k));
  }
}
#endif

// Tail is what comes behind the sums.
typedef struct {
  i32 m, n, k, type;
  i32 biased, added;
  float alpha, beta;
} Tail;

DEVICE void finish(GLOBAL const void* bias, GLOBAL const void* residual, GLOBAL void* y, const Tail* t, u32 row, u32 col, float sum) {
  u32 at = row * (u32)t->n + col;
  float v = sum * t->alpha;
  if (t->biased) v += float_at(bias, t->type, col) * t->beta;
  if (t->added) v += float_at(residual, t->type, at);
  float_to(y, t->type, at, v);
}

#define SIZE 256
#define WARP 32

// TEAM_SUM adds v over a team of so many lanes of a group.
#ifdef NVIDIA
#define TEAM_SUM(v, LANES) \
  v += SHUFFLE(v, 16u); v += SHUFFLE(v, 8u); v += SHUFFLE(v, 4u); v += SHUFFLE(v, 2u); v += SHUFFLE(v, 1u); \
  if (LANES > WARP) { \
    BARRIER(); \
    if (LID() % WARP == 0) part[LID() / WARP] = v; \
    BARRIER(); \
    v = 0.0f; \
    for (int i = 0; i < LANES / WARP; i++) v += part[LID() / LANES * (LANES / WARP) + i]; \
  }
#else
#define TEAM_SUM(v, LANES) \
  BARRIER(); part[LID()] = v; BARRIER(); \
  for (int s = LANES / 2; s > 0; s >>= 1) { if (lane < s) part[LID()] += part[LID() + s]; BARRIER(); } \
  v = part[LID()];
#endif

// A team of so many lanes has one row of W and so many rows of A. Of the stretches of
// eight each lane takes every so manyth, in four sums.
#define GEMV(NAME, ROWS, LANES) \
KERNEL void NAME(GLOBAL const void* a, WEIGHTS, GLOBAL const void* bias, GLOBAL const void* residual, GLOBAL void* y, Tail t) { \
  LOCALS(float, part, SIZE); \
  int lane = LID() % LANES; \
  u32 col = (u32)(GROUP(0) * (SIZE / LANES) + LID() / LANES), row = (u32)(GROUP(1) * ROWS), k = (u32)t.k; \
  u32 n = col < (u32)t.n ? col : (u32)t.n - 1u; \
  float sum[ROWS][4]; \
  for (int r = 0; r < ROWS; r++) for (int j = 0; j < 4; j++) sum[r][j] = 0.0f; \
  if (k % 8u == 0u) { \
    u32 many = k / 8u; \
    for (u32 c = (u32)lane; c < many; c += 4 * LANES) { \
      for (u32 j = 0; j < 4; j++) { \
        u32 at = c + j * LANES; \
        if (at >= many) break; \
        float wv[8]; \
        weights(GIVEN, n, at, k, wv); \
        for (u32 r = 0; r < ROWS; r++) { \
          float av[8]; \
          u32 i = row + r < (u32)t.m ? row + r : row; \
          lefts(a, (u64)i * many + at, av); \
          for (int e = 0; e < 8; e++) sum[r][j] = fma(wv[e], av[e], sum[r][j]); \
        } \
      } \
    } \
  } else { \
    for (u32 i = (u32)lane; i < k; i += LANES) { \
      float wv = weight(GIVEN, n, i, k); \
      for (u32 r = 0; r < ROWS; r++) \
        sum[r][0] = fma(wv, left(a, (u64)(row + r < (u32)t.m ? row + r : row) * k + i), sum[r][0]); \
    } \
  } \
  for (u32 r = 0; r < ROWS; r++) { \
    float v = (sum[r][0] + sum[r][1]) + (sum[r][2] + sum[r][3]); \
    TEAM_SUM(v, LANES) \
    if (lane == 0 && col < (u32)t.n && row + r < (u32)t.m) finish(bias, residual, y, &t, row + r, col, v); \
  } \
}

GEMV(gemv1, 1, 32)
GEMV(gemv4, 4, 32)
GEMV(gemv1_long, 1, 128)
GEMV(gemv4_long, 4, 128)

// A group of 256 has 64 rows of A by 64 rows of W, each work-item 4 by 4 of the sums.
#define TILE 64
#define DEPTH 16

KERNEL void gemm(GLOBAL const void* a, WEIGHTS, GLOBAL const void* bias, GLOBAL const void* residual, GLOBAL void* y, Tail t) {
  LOCALS(float, ta, DEPTH * (TILE + 4));
  LOCALS(float, tw, DEPTH * (TILE + 4));
  int id = LID(), tx = id % 16, ty = id / 16;
  u32 row = (u32)(GROUP(1) * TILE), col = (u32)(GROUP(0) * TILE), k = (u32)t.k;
  // Work-items 0 to 127 fetch eight numbers of A each, the others of W.
  int at = id % 128, line = at / 2, part = at % 2;
  float sum[4][4];
  for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) sum[i][j] = 0.0f;
  for (u32 k0 = 0; k0 < k; k0 += DEPTH) {
    float v[8];
    for (int e = 0; e < 8; e++) v[e] = 0.0f;
    u32 from = k0 + 8u * (u32)part;
    u32 which = (id < 128 ? row : col) + (u32)line;
    if (which < (u32)(id < 128 ? t.m : t.n) && from < k) {
      if (k % 8u == 0u) {
        if (id < 128) lefts(a, (u64)which * (k / 8u) + from / 8u, v);
        else weights(GIVEN, which, from / 8u, k, v);
      } else {
        for (u32 e = 0; e < 8u && from + e < k; e++)
          v[e] = id < 128 ? left(a, (u64)which * k + from + e) : weight(GIVEN, which, from + e, k);
      }
    }
    BARRIER();
    for (int e = 0; e < 8; e++) {
      if (id < 128) ta[(8 * part + e) * (TILE + 4) + line] = v[e];
      else tw[(8 * part + e) * (TILE + 4) + line] = v[e];
    }
    BARRIER();
    for (int d = 0; d < DEPTH; d++) {
      float x[4], z[4];
      for (int i = 0; i < 4; i++) x[i] = ta[d * (TILE + 4) + ty * 4 + i];
      for (int j = 0; j < 4; j++) z[j] = tw[d * (TILE + 4) + tx * 4 + j];
      for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) sum[i][j] = fma(x[i], z[j], sum[i][j]);
    }
  }
  for (u32 i = 0; i < 4; i++) for (u32 j = 0; j < 4; j++) {
    u32 r = row + (u32)ty * 4u + i, c = col + (u32)tx * 4u + j;
    if (r < (u32)t.m && c < (u32)t.n) finish(bias, residual, y, &t, r, c, sum[i][j]);
  }
}
