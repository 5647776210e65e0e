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

#define STRETCH 128  // four chunks of 32 numbers
#define ROOM 16384   // normalised numbers that a group keeps
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
  i32 n[3], first[3];  // rows of each set, and its first tile
  i32 tiles, share;    // tiles in all, and how many warps one has
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
  i32 zero;         // where zero points are not given, which are packed as the numbers are
  i32 zeros_row;    // zero points in a row, padding included
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

#if W_TYPE == Q4
#define QUADS 1  // of 16 bytes that a lane reads of a row's stretch
#define AHEAD 2  // stretches that are under way
#define HELD8 2  // groups of few8 whose registers a processor holds
#elif W_TYPE == Q8
#define QUADS 2
#define AHEAD 1
#define HELD8 3
#else
#define QUADS 4
#define AHEAD 1
#define HELD8 3
#endif

// Line is one row of W as a lane reads it, Piece what it has read of a stretch.
typedef struct {
  GLOBAL const u8* w;
  u32 bytes;  // of the row
#ifdef BLOCKED
  GLOBAL const u16* scales;
  GLOBAL const u8* zeros;
  u32 zero;  // the first one's place
#endif
} Line;

typedef struct {
  u32 w[4 * QUADS];
#ifdef BLOCKED
  u32 scales[2], zeros;
#endif
} Piece;

// read brings a lane's part of stretch s of a row: 16 bytes of every 64, or for 4 bits of
// 64 too; what is beyond the row is 0.
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
  if (x->zeros) {
    UNROLL for (u32 j = 0; j < 4; j++) {
      u32 i = x->zero + b[j];
#if W_TYPE == Q4
      p->zeros |= (x->zeros[i >> 1] >> ((i & 1u) * 4u) & 15u) << (8u * j);
#else
      p->zeros |= (u32)x->zeros[i] << (8u * j);
#endif
    }
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

#if W_TYPE == Q4
// turn gives each of four lanes, which have a chunk of the row each, its quarter of all
// four chunks.
DEVICE void turn(u32* w, u32 t) {
  u32 odd = t & 1u, high = t & 2u;
  UNROLL for (u32 i = 0; i < 4; i += 2) {
    u32 r = AS_U32(SHUFFLE(AS_F32(odd ? w[i] : w[i + 1]), 1u));
    if (odd) w[i] = r;
    else w[i + 1] = r;
  }
  UNROLL for (u32 i = 0; i < 2; i++) {
    u32 r = AS_U32(SHUFFLE(AS_F32(high ? w[i] : w[i + 2]), 2u));
    if (high) w[i] = r;
    else w[i + 2] = r;
  }
}
#define PART(t) (t)

// numbers makes eight numbers less their zero point of chunk j, in the order of pairs.
DEVICE void numbers(const Piece* p, u32 j, u32* v) {
#if A_TYPE == F16
  const u32 high = 0x64u;  // 1024: the numbers are its last bits
#else
  const u32 high = 0x43u;  // 128
#endif
  u32 zero = BYTE2(p->zeros, j, high);
  UNROLL for (u32 i = 0; i < 4; i++) v[i] = SUB2((p->w[j] >> (4u * i) & 0x000f000fu) | high * 0x01000100u, zero);
}

// order puts eight numbers of A in the order of pairs of numbers: 0 and 4, 1 and 5, ...
DEVICE void order(u32* x) {
  u32 a = x[0], b = x[1], c = x[2], d = x[3];
  x[0] = (a & 0xffffu) | c << 16;
  x[1] = a >> 16 | (c & 0xffff0000u);
  x[2] = (b & 0xffffu) | d << 16;
  x[3] = b >> 16 | (d & 0xffff0000u);
}
#elif W_TYPE == Q8
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

DEVICE float rounded_if(int rounds, float v) { return rounds ? rounded(A_TYPE, v) : v; }

// normalise writes the rows of A, normalised, to local memory in the order of pairs.
// It sums as norm.cl does, so that a row's bits are those that it has alone.
DEVICE void normalise(GLOBAL const u16* a, GLOBAL const void* gain, int type, u32 m, u32 k, float epsilon, LOCAL float* part, LOCAL u16* rows) {
  u32 lane = (u32)LID() % 32u;
  for (u32 r = 0; r < m; r++) {
    float sum = 0.0f;
    for (u32 i = (u32)LID(); i < k; i += 256u) {
      float v = float_at(a, A_TYPE, r * k + i);
      sum = fma(v, v, sum);
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
    for (u32 i = (u32)LID(); i < k / 8u; i += 256u) {
      u32 x[4];
      float by[8];
      fetch(a, r, m, i * 8u, k, x);
      if (type == A_TYPE) {
        u32 w[4];
        fetch((GLOBAL const u16*)gain, 0u, 1u, i * 8u, k, w);
        UNROLL for (u32 j = 0; j < 4; j++) {
          by[2 * j] = LOW(w[j]);
          by[2 * j + 1] = HIGH(w[j]);
        }
      } else {
        UNROLL for (u32 j = 0; j < 8; j++) by[j] = float_at(gain, type, i * 8u + j);
      }
      UNROLL for (u32 j = 0; j < 4; j++) {
        u32 y = PACK(LOW(x[j]) * inv, HIGH(x[j]) * inv);
        x[j] = PACK(LOW(y) * by[2 * j], HIGH(y) * by[2 * j + 1]);
      }
      order(x);
      LOCAL u32* to = (LOCAL u32*)(rows + r * (k + APART) + i * 8u);
      UNROLL for (u32 j = 0; j < 4; j++) to[j] = x[j];
    }
  }
  BARRIER();
}

// THE chooses one of three without an address, which would move all to memory.
#define THE(x, i) ((i) == 0 ? x[0] : (i) == 1 ? x[1] : x[2])

// TILES is how many times eight rows of A there are, SIZE the work-items of a
// group, HELD how many groups a processor holds.
#define FEW(NAME, TILES, NORMED, SIZE, HELD) \
KERNEL ITEMS(SIZE, HELD) void NAME(GLOBAL const u16* a, GLOBAL const void* gain, SETS, GLOBAL const void* bias0, GLOBAL const void* bias1, GLOBAL const void* bias2, \
                 GLOBAL const void* residual, GLOBAL void* y0, GLOBAL void* y1, GLOBAL void* y2, Few f) { \
  LOCALS(float, part, NORMED ? 8 * SIZE : SIZE * TILES * 4); \
  LOCALS16(u16, rows, NORMED ? ROOM + 8 * APART : 8); \
  u32 lane = (u32)LID() % 32u, warp = (u32)LID() / 32u, g = lane / 4u, t = lane % 4u; \
  u32 m = (u32)f.m, k = (u32)f.k, share = (u32)f.share, many = SIZE / 32u / share, each = f.gated ? 8u : 16u; \
  int tile = GROUP(0) * (int)many + (int)(warp / share); \
  int one = f.gated || tile < f.first[1] ? 0 : tile < f.first[2] ? 1 : 2, other = f.gated ? 1 : one; \
  u32 row = (u32)(tile - THE(f.first, one)) * each, n = (u32)THE(f.n, one); \
  Line line[2]; \
  UNROLL for (u32 i = 0; i < 2; i++) { \
    int set = i ? other : one; \
    u32 r = row + g + (i && !f.gated ? 8u : 0u); \
    if (r >= n) r = n - 1u; \
    GLOBAL const u8* w = set == 0 ? w0 : set == 1 ? w1 : w2; \
    LINE(line[i], r, w) \
  } \
  u32 stretches = tile < f.tiles ? (k + STRETCH - 1u) / STRETCH : 0u; \
  Piece piece[AHEAD][2]; \
  UNROLL for (u32 d = 0; d < AHEAD; d++) { \
    u32 s = warp % share + d * share; \
    if (s < stretches) { READ(piece[d][0], line[0], s) READ(piece[d][1], line[1], s) } \
  } \
  if (NORMED) normalise(a, gain, f.gain, m, k, f.epsilon, part, rows); \
  float sum[TILES][4]; \
  for (int i = 0; i < TILES; i++) for (int e = 0; e < 4; e++) sum[i][e] = 0.0f; \
  for (u32 s0 = warp % share; s0 < stretches; s0 += AHEAD * share) { \
    UNROLL for (u32 d = 0; d < AHEAD; d++) { \
      u32 s = s0 + d * share, at = s * STRETCH + PART(t) * 8u; \
      if (s >= stretches) break; \
      u32 x[TILES][4][4]; \
      UNROLL for (u32 i = 0; i < TILES; i++) UNROLL for (u32 j = 0; j < 4; j++) { \
        if (NORMED) { \
          fetch_local(rows + g * (k + APART), g < m, at + j * 32u, k, x[i][j]); \
        } else { \
          fetch(a, i * 8u + g, m, at + j * 32u, k, x[i][j]); \
          order(x[i][j]); \
        } \
      } \
      turn(piece[d][0].w, t); \
      turn(piece[d][1].w, t); \
      UNROLL for (u32 j = 0; j < 4; j++) { \
        u32 lo[4], hi[4], wa[4], wb[4]; \
        numbers(&piece[d][0], j, lo); \
        numbers(&piece[d][1], j, hi); \
        wa[0] = lo[0]; wa[1] = hi[0]; wa[2] = lo[1]; wa[3] = hi[1]; \
        wb[0] = lo[2]; wb[1] = hi[2]; wb[2] = lo[3]; wb[3] = hi[3]; \
        UNROLL for (u32 i = 0; i < TILES; i++) { CHUNK(sum[i], wa, wb, x[i][j], piece[d], j) } \
      } \
      u32 next = s + AHEAD * share; \
      if (next < stretches) { READ(piece[d][0], line[0], next) READ(piece[d][1], line[1], next) } \
    } \
  } \
  BARRIER(); \
  for (int i = 0; i < TILES; i++) for (int e = 0; e < 4; e++) part[(warp * TILES + (u32)i) * 128u + lane * 4u + (u32)e] = sum[i][e]; \
  BARRIER(); \
  for (u32 c = (u32)LID(); c < many * TILES * 128u; c += SIZE) { \
    u32 i = c % (TILES * 128u), own = c / (TILES * 128u), e = i % 4u, l = i % 128u / 4u, col = i / 128u * 8u + l % 4u * 2u + e % 2u; \
    tile = GROUP(0) * (int)many + (int)own; \
    one = f.gated || tile < f.first[1] ? 0 : tile < f.first[2] ? 1 : 2; \
    u32 r = (u32)(tile - THE(f.first, one)) * each + l / 4u; \
    if (tile >= f.tiles || f.gated && e >= 2u) continue; \
    if (!f.gated && e >= 2u) r += 8u; \
    if (r >= (u32)THE(f.n, one) || col >= m) continue; \
    GLOBAL const void* bias = one == 0 ? bias0 : one == 1 ? bias1 : bias2; \
    GLOBAL void* y = one == 0 ? y0 : one == 1 ? y1 : y2; \
    LOCAL const float* from = part + own * share * (TILES * 128u) + i; \
    u32 to = col * (u32)THE(f.n, one) + r; \
    float v = 0.0f; \
    for (u32 w = 0; w < share; w++) v += from[w * TILES * 128u]; \
    v = rounded_if(f.rounds, v * f.alpha); \
    if (f.biased >> one & 1) v = rounded_if(f.rounds, v + float_at(bias, A_TYPE, r) * f.beta); \
    if (f.gated) { \
      float z = 0.0f; \
      for (u32 w = 0; w < share; w++) z += from[w * TILES * 128u + 2u]; \
      z = rounded_if(f.rounds, z * f.alpha); \
      if (f.biased >> 1 & 1) z = rounded_if(f.rounds, z + float_at(bias1, A_TYPE, r) * f.beta); \
      v = rounded_if(f.rounds, v / (1.0f + exp(-f.swish * v))) * z; \
    } \
    if (f.added) v += float_at(residual, A_TYPE, to); \
    float_to(y, A_TYPE, to, v); \
  } \
}

#ifdef BLOCKED
#define LINE(x, r, base) \
  x.bytes = (u32)q.row; \
  x.w = base + (u64)r * (u64)q.row; \
  x.scales = (set == 0 ? scales0 : set == 1 ? scales1 : scales2) + (u64)r * (u64)q.blocks; \
  x.zeros = set == 0 ? zeros0 : set == 1 ? zeros1 : zeros2; \
  x.zero = r * (u32)q.zeros_row;
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
#define LINE(x, r, base) x.bytes = k * 2u; x.w = base + (u64)r * (u64)(k * 2u);
#define READ(p, x, s) read(&p, &x, s, t);
#define CHUNK(sum, wa, wb, x, p, j) MMA(sum, wa, x); MMA(sum, wb, x + 2);
#endif

FEW(few8, 1, 0, 256, HELD8)
FEW(few16, 2, 0, 256, 1)
FEW(norm8, 1, 1, 256, 3)
FEW(wide8, 1, 0, 512, 1)
FEW(wide16, 2, 0, 512, 1)
