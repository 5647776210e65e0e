// What the kernels of products of few rows share, see few.cl.

#define STRETCH 128  // four chunks of 32 numbers
#define ROOM 16384   // numbers of A that a group keeps
#define APART 32     // between two rows of them, against conflicts of banks

#if A_TYPE == F16
#define MMA MMA_F16
#define PACK PACK_F16
#define LOW(u) f16_f32((u16)((u) & 0xffffu))
#define HIGH(u) f16_f32((u16)((u) >> 16))
#define SUB2 SUB2_F16
#else
#define MMA MMA_BF16
#define PACK PACK_BF16
#define LOW(u) AS_F32((u) << 16)
#define HIGH(u) AS_F32((u) & 0xffff0000u)
#define SUB2 SUB2_BF16
#endif

// Few are the extents, and what is done beside the product.
typedef struct {
  i32 m, k;
  i32 n[3], first[3];  // rows of each set, and its first tile: a group has tiles of one set
  i32 shift;           // 2^shift warps have one tile
  i32 gain;            // type of the scale of the normalisation
  i32 gated, biased, added;
  i32 rounds;          // to the type of A after every operator
  float alpha, beta, epsilon, swish;
} Few;

// Grid is how blocks of numbers lie in a row of weights, and their scales, of 16 bits.
typedef struct {
  i32 blocks, row;  // in a row; its bytes
  i32 shift;        // a block has 32·2^shift numbers
  i32 even;         // four scales at a time may be read as one word
  i32 zero;         // where zero points are not given
  i32 zeros_row;    // bytes of zero points in a row, packed as the numbers are; 0: they are not given
  i32 scale_type;
} Grid;

// SETS are the weights of three sets as parameters.
#define Q4 4
#define Q8 8
#if W_TYPE == Q4 || W_TYPE == Q8
#define BLOCKED 1
#define SETS GLOBAL const u8* w0, GLOBAL const u8* w1, GLOBAL const u8* w2, \
  GLOBAL const u16* scales0, GLOBAL const u16* scales1, GLOBAL const u16* scales2, \
  GLOBAL const u8* zeros0, GLOBAL const u8* zeros1, GLOBAL const u8* zeros2, Grid q
#else
#define SETS GLOBAL const u8* w0, GLOBAL const u8* w1, GLOBAL const u8* w2
#endif

// fetch brings eight numbers of a row of A.
DEVICE void fetch(GLOBAL const u16* a, u32 row, u32 m, u32 at, u32 k, u32* x) {
  uint4 v;
  v.x = v.y = v.z = v.w = 0u;
  if (row < m && at < k) v = *(GLOBAL const uint4*)(a + (u64)row * k + at);
  x[0] = v.x;
  x[1] = v.y;
  x[2] = v.z;
  x[3] = v.w;
}

// fetch_local brings eight of a row that was normalised.
DEVICE void fetch_local(LOCAL const u16* row, int is, u32 at, u32 k, u32* x) {
  uint4 v;
  v.x = v.y = v.z = v.w = 0u;
  if (is && at < k) v = *(LOCAL const uint4*)(row + at);
  x[0] = v.x;
  x[1] = v.y;
  x[2] = v.z;
  x[3] = v.w;
}

// store puts eight numbers into local memory.
DEVICE void store(LOCAL u16* to, const u32* x) {
  uint4 v;
  v.x = x[0];
  v.y = x[1];
  v.z = x[2];
  v.w = x[3];
  *(LOCAL uint4*)to = v;
}

DEVICE float rounded_if(int rounds, float v) { return rounds ? rounded(A_TYPE, v) : v; }

// order puts eight numbers of A in the order in which numbers of weights are multiplied.
DEVICE void order(u32* x);

// normalise writes the rows of A, normalised, to local memory, each one as long as pitch
// and APART and 0 behind its k numbers. It sums as norm.cl does, so that a row's bits are
// those that it has alone.
DEVICE void normalise(GLOBAL const u16* a, GLOBAL const void* gain, int type, u32 m, u32 k, u32 pitch, float epsilon, LOCAL float* part, LOCAL u16* rows) {
  u32 lane = (u32)LID() % 32u, x0[4], w0[4];
  fetch(a, 0u, m, (u32)LID() * 8u, k, x0);  // while others are under way
  fetch((GLOBAL const u16*)gain, 0u, type == A_TYPE, (u32)LID() * 8u, k, w0);
  for (u32 r = 0; r < m; r++) {
    float sum = 0.0f;
    for (u32 i = (u32)LID(); i < k; i += 2048u) {
      float v[8];
      UNROLL for (u32 j = 0; j < 8; j++) v[j] = i + 256u * j < k ? float_at(a, A_TYPE, r * k + i + 256u * j) : 0.0f;
      UNROLL for (u32 j = 0; j < 8; j++) sum = fma(v[j], v[j], sum);
    }
    part[r * 256u + (u32)LID()] = sum;
  }
  BARRIER();
  for (u32 r = 0; r < m; r++) {
    LOCAL float* p = part + r * 256u + lane;
    float v = ((p[0] + p[128]) + (p[64] + p[192])) + ((p[32] + p[160]) + (p[96] + p[224]));
    v += SHUFFLE(v, 16u);
    v += SHUFFLE(v, 8u);
    v += SHUFFLE(v, 4u);
    v += SHUFFLE(v, 2u);
    v += SHUFFLE(v, 1u);
    float inv = 1.0f / sqrt(v / (float)k + epsilon);
    for (u32 i = (u32)LID(); i < pitch / 8u; i += 256u) {
      u32 x[4], w[4];
      float by[8];
      if (r > 0u || i >= 256u) fetch(a, r, m, i * 8u, k, x);
      else UNROLL for (u32 j = 0; j < 4; j++) x[j] = x0[j];
      if (type == A_TYPE) {
        if (i >= 256u) fetch((GLOBAL const u16*)gain, 0u, 1u, i * 8u, k, w);
        else UNROLL for (u32 j = 0; j < 4; j++) w[j] = w0[j];
        UNROLL for (u32 j = 0; j < 4; j++) {
          by[2 * j] = LOW(w[j]);
          by[2 * j + 1] = HIGH(w[j]);
        }
      } else {
        UNROLL for (u32 j = 0; j < 8; j++) by[j] = i * 8u < k ? float_at(gain, type, i * 8u + j) : 0.0f;
      }
      UNROLL for (u32 j = 0; j < 4; j++) {
        u32 y = PACK(LOW(x[j]) * inv, HIGH(x[j]) * inv);
        x[j] = PACK(LOW(y) * by[2 * j], HIGH(y) * by[2 * j + 1]);
      }
      order(x);
      store(rows + r * (pitch + APART) + i * 8u, x);
    }
  }
  BARRIER();
}

// THE chooses one of three without an address, which would move all to memory.
#define THE(x, i) ((i) == 0 ? x[0] : (i) == 1 ? x[1] : x[2])

#define FEW_PARAMETERS GLOBAL const u16* a, GLOBAL const void* gain, SETS, GLOBAL const void* bias0, GLOBAL const void* bias1, GLOBAL const void* bias2, \
  GLOBAL const void* residual, GLOBAL void* y0, GLOBAL void* y1, GLOBAL void* y2, Few f

// OF chooses what a set has of what there are three parameters of.
#define OF(name, i) ((i) == 0 ? name##0 : (i) == 1 ? name##1 : name##2)

// FEW_PLACE tells a work-item, of groups of SIZE, its warp, its tile, the two rows of
// weights of which it reads a quarter, lanes 4·g+t the t-th, and whose they are.
#define FEW_PLACE(SIZE) \
  u32 lane = (u32)LID() % 32u, warp = (u32)LID() / 32u, g = lane / 4u, t = lane % 4u; \
  u32 m = (u32)f.m, k = (u32)f.k, share = 1u << f.shift, spread = (SIZE == 512 ? 4u : 3u) - (u32)f.shift, each = 16u >> f.gated; \
  int tile = GROUP(0) << spread, one = tile < f.first[1] ? 0 : tile < f.first[2] ? 1 : 2, other = one + f.gated; \
  u32 stretches = (k + STRETCH - 1u) / STRETCH, first = warp & (share - 1u), n = (u32)THE(f.n, one); \
  u32 begins = (u32)(tile - THE(f.first, one)), upper = (begins + (warp >> f.shift)) * each + g, lower = upper + each - 8u; \
  if (upper >= n) upper = n - 1u; \
  if (lower >= n) lower = n - 1u;

// FEW_END adds the sums of the warps that share a tile, 16 for each of COLUMNS rows of A,
// and stores what becomes of them.
#define FEW_END(SIZE, COLUMNS) \
  BARRIER(); \
  for (u32 c = (u32)LID(); c < m * 16u << spread; c += SIZE) { \
    u32 i = c % 16u, own = c / 16u & ((1u << spread) - 1u), col = c / 16u >> spread, r = (begins + own) * each + i, to = col * n + r; \
    if (i >= each || r >= n) continue; \
    GLOBAL const void* bias = OF(bias, one); \
    LOCAL const float* from = part + ((own << f.shift) * COLUMNS + col) * 16u + i; \
    float v = 0.0f; \
    for (u32 w = 0; w < share; w++) v += from[w * COLUMNS * 16u]; \
    v = rounded_if(f.rounds, v * f.alpha); \
    if (f.biased >> one & 1) v = rounded_if(f.rounds, v + float_at(bias, A_TYPE, r) * f.beta); \
    if (f.gated) { \
      float z = 0.0f; \
      for (u32 w = 0; w < share; w++) z += from[w * COLUMNS * 16u + 8u]; \
      z = rounded_if(f.rounds, z * f.alpha); \
      if (f.biased >> 1 & 1) z = rounded_if(f.rounds, z + float_at(bias1, A_TYPE, r) * f.beta); \
      v = rounded_if(f.rounds, v / (1.0f + exp(-f.swish * v))) * z; \
    } \
    if (f.added) v += float_at(residual, A_TYPE, to); \
    float_to(OF(y, one), A_TYPE, to, v); \
  }
