// Attention of few rows over a state: what attention.cl computes, from q, k and v of one
// 16-bit type whose vectors begin at multiples of 16 bytes. What bounds it is waiting: a
// group has one vector and KEYS keys, all of which it asks for at once. The last group of a
// vector to end joins what all left, in the order of their keys (Dao et al.,
// "Flash-Decoding", 2023). Which keys a group has depends on nothing but their places, so
// that a vector's bits are its own.

#define KEYS 64
#define SIZE 256
#define AHEAD 8  // parts that are under way at once

// wide_8 makes floats of eight numbers.
DEVICE void wide_8(uint4 a, float* v) {
  u32 w[4];
  w[0] = a.x; w[1] = a.y; w[2] = a.z; w[3] = a.w;
  UNROLL for (u32 i = 0; i < 4; i++) {
#if TYPE == F16
    v[2 * i] = f16_f32((u16)(w[i] & 0xffffu));
    v[2 * i + 1] = f16_f32((u16)(w[i] >> 16));
#else
    v[2 * i] = AS_F32(w[i] << 16);
    v[2 * i + 1] = AS_F32(w[i] & 0xffff0000u);
#endif
  }
}

// CHUNKS lanes have a key, eight numbers each: a team. counts has a zero for each vector,
// and again when the launch has ended. Group 0 chooses the vector, group 1 batch and key
// head, group 2 the keys; parts has for each the sums, the largest score and the sum of the
// weights.
#define DECODE(NAME, CHUNKS) \
KERNEL ITEMS(SIZE, 1) void NAME(GLOBAL const u16* q, GLOBAL const u16* k, GLOBAL const u16* v, GLOBAL const void* at, GLOBAL u16* y, GLOBAL float* parts, GLOBAL u32* counts, Heads h) { \
  LOCALS(float, out, SIZE * 8); \
  LOCALS(float, tops, SIZE); \
  LOCALS(float, sums, SIZE); \
  LOCALS(u32, before, 1); \
  int id = LID(), team = id / CHUNKS, lane = id % CHUNKS, width = CHUNKS * 8, teams = SIZE / CHUNKS; \
  int batch = GROUP(1) / h.kv_heads, head = GROUP(1) % h.kv_heads, vec = GROUP(0); \
  int row = vec / h.group, own = head * h.group + vec % h.group, lo, hi; \
  seen(at, &h, batch, row, &lo, &hi); \
  int splits = hi > 0 ? (hi + KEYS - 1) / KEYS : 1, from = GROUP(2) * KEYS; \
  if (GROUP(2) >= splits) return; \
  GLOBAL const u16* keys = k + (batch * h.k_batch + head * h.k_head + lane * 8); \
  GLOBAL const u16* values = v + (batch * h.v_batch + head * h.v_head + lane * 8); \
  uint4 kx[KEYS * CHUNKS / SIZE], vx[KEYS * CHUNKS / SIZE]; \
  UNROLL for (int i = 0; i < KEYS * CHUNKS / SIZE; i++) { \
    int key = from + i * teams + team; \
    kx[i].x = kx[i].y = kx[i].z = kx[i].w = 0u; \
    vx[i] = kx[i]; \
    if (key < hi) { \
      kx[i] = *(GLOBAL const uint4*)(keys + key * h.k_row); \
      vx[i] = *(GLOBAL const uint4*)(values + key * h.v_row); \
    } \
  } \
  float qv[8], wide[8], score[KEYS * CHUNKS / SIZE], top = -INFINITY, sum = 0.0f, acc[8]; \
  wide_8(*(GLOBAL const uint4*)(q + (batch * h.q_batch + row * h.q_row + own * h.q_head + lane * 8)), qv); \
  UNROLL for (int i = 0; i < KEYS * CHUNKS / SIZE; i++) { \
    float s = 0.0f; \
    wide_8(kx[i], wide); \
    UNROLL for (int e = 0; e < 8; e++) s = fma(qv[e], wide[e], s); \
    UNROLL for (u32 mask = CHUNKS / 2; mask > 0; mask /= 2) s += SHUFFLE(s, mask); \
    score[i] = from + i * teams + team < hi ? s * h.scale : -INFINITY; \
    top = fmax(top, score[i]); \
  } \
  float base = top == -INFINITY ? 0.0f : top; \
  UNROLL for (int e = 0; e < 8; e++) acc[e] = 0.0f; \
  UNROLL for (int i = 0; i < KEYS * CHUNKS / SIZE; i++) { \
    float p = FAST_EXP(score[i] - base); \
    sum += p; \
    wide_8(vx[i], wide); \
    UNROLL for (int e = 0; e < 8; e++) acc[e] = fma(p, wide[e], acc[e]); \
  } \
  UNROLL for (int e = 0; e < 8; e++) out[team * width + lane * 8 + e] = acc[e]; \
  if (lane == 0) { \
    tops[team] = top; \
    sums[team] = sum; \
  } \
  BARRIER(); \
  top = -INFINITY; \
  for (int i = 0; i < teams; i++) top = fmax(top, tops[i]); \
  base = top == -INFINITY ? 0.0f : top; \
  float all = 0.0f; \
  sum = 0.0f; \
  for (int i = 0; i < teams; i++) { \
    float w = FAST_EXP(tops[i] - base); \
    sum = fma(w, sums[i], sum); \
    if (id < width) all = fma(w, out[i * width + id], all); \
  } \
  u32 to = (u32)(batch * h.y_batch + row * h.y_row + own * h.y_head + id); \
  if (splits == 1) { \
    if (id < width) float_to(y, TYPE, to, sum > 0.0f || sum != sum ? all / sum : 0.0f); \
    return; \
  } \
  u32 each = (u32)width + 2u, vector = (u32)(GROUP(1) * GROUPS(0) + vec), unit = vector * (u32)h.splits * each; \
  GLOBAL float* part = parts + (unit + (u32)GROUP(2) * each); \
  if (id < width) part[id] = all; \
  if (id == 0) { \
    part[width] = top; \
    part[width + 1] = sum; \
  } \
  FENCE(); \
  BARRIER(); \
  if (id == 0) before[0] = COUNTED(counts + vector); \
  BARRIER(); \
  if (before[0] != (u32)splits - 1u) return; \
  FENCE(); \
  if (id == 0) counts[vector] = 0u; \
  top = -INFINITY; \
  sum = all = 0.0f; \
  for (int s0 = 0; s0 < splits; s0 += SIZE) { \
    int some = splits - s0 < SIZE ? splits - s0 : SIZE; \
    part = parts + (unit + (u32)s0 * each); \
    float t = id < some ? part[(u32)id * each + (u32)width] : -INFINITY, l = id < some ? part[(u32)id * each + (u32)width + 1u] : 0.0f; \
    BARRIER(); \
    tops[id] = t; \
    BARRIER(); \
    float m = top; \
    for (int s = 0; s < some; s++) m = fmax(m, tops[s]); \
    base = m == -INFINITY ? 0.0f : m; \
    float w = FAST_EXP(t - base), shrink = FAST_EXP(top - base); \
    out[id] = w; \
    sums[id] = w * l; \
    BARRIER(); \
    sum *= shrink; \
    for (int s = 0; s < some; s++) sum += sums[s]; \
    top = m; \
    all *= shrink; \
    for (int s1 = id / width; s1 < some; s1 += AHEAD * (SIZE / width)) { \
      float x[AHEAD]; \
      UNROLL for (int j = 0; j < AHEAD; j++) { \
        int s = s1 + j * (SIZE / width); \
        x[j] = s < some ? part[(u32)s * each + (u32)(id % width)] : 0.0f; \
      } \
      UNROLL for (int j = 0; j < AHEAD; j++) { \
        int s = s1 + j * (SIZE / width); \
        all = fma(s < some ? out[s] : 0.0f, x[j], all); \
      } \
    } \
  } \
  BARRIER(); \
  tops[id] = all; \
  BARRIER(); \
  if (id >= width) return; \
  for (int i = id + width; i < SIZE; i += width) all += tops[i]; \
  float_to(y, TYPE, to, sum > 0.0f || sum != sum ? all / sum : 0.0f); \
}

DECODE(decode32, 4)
DECODE(decode64, 8)
DECODE(decode128, 16)
