// Scaled dot-product attention, y = softmax(scale·q·kᵀ)·v. The softmax is taken along
// with the products, a tile of keys at a time, so that no more scores exist than a tile
// has (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
// TYPE is that of q, k, v and y.
//
// A vector is one head's query in one row; vectors that share a key head lie together.
// Tiles begin at multiples of their size and a vector's sums are its own, so that its
// bits do not depend on which others are computed.

#define VECTORS 16
#define KEYS 64
#define SIZE 128
#define DIMS 32
#define WIDTH 256  // the widest head
#define AHEAD 8    // values that are under way at once

#if TYPE == F32
#define AT(p, i) ((GLOBAL const float*)p)[i]
#elif TYPE == F16
#define AT(p, i) F16_AT(p, i)
#else
#define AT(p, i) BF16_F32(((GLOBAL const u16*)p)[i])
#endif

// attend: group 0 chooses the vectors, group 1 batch and key head, group 2 the keys.
KERNEL void attend(GLOBAL const void* q, GLOBAL const void* k, GLOBAL const void* v, GLOBAL const void* at, GLOBAL void* y, GLOBAL float* parts, Heads h) {
  LOCALS(float, tq, VECTORS * WIDTH);
  LOCALS(float, tk, KEYS * (DIMS + 1));
  LOCALS(float, score, VECTORS * (KEYS + 1));
  LOCALS(float, part, VECTORS * 8);
  LOCALS(float, top, VECTORS);
  LOCALS(float, sum, VECTORS);
  LOCALS(float, shrink, VECTORS);
  LOCALS(int, lo, VECTORS);
  LOCALS(int, hi, VECTORS);
  int id = LID(), batch = GROUP(1) / h.kv_heads, head = GROUP(1) % h.kv_heads;
  int vectors = h.rows * h.group, first = GROUP(0) * VECTORS;

  if (id < VECTORS) {
    int a = 0, b = 0;
    if (first + id < vectors) seen(at, &h, batch, (first + id) / h.group, &a, &b);
    lo[id] = a;
    hi[id] = b;
    top[id] = -INFINITY;
    sum[id] = 0.0f;
  }
  for (int i = id; i < VECTORS * h.size; i += SIZE) {
    int n = i / h.size, d = i % h.size, vec = first + n;
    if (vec >= vectors) vec = vectors - 1;
    tq[n * WIDTH + d] = AT(q, (u32)(batch * h.q_batch + vec / h.group * h.q_row + (head * h.group + vec % h.group) * h.q_head + d));
  }
  BARRIER();
  int from = h.keys, to = 0;
  for (int n = 0; n < VECTORS; n++) {
    if (lo[n] < hi[n]) {
      if (lo[n] < from) from = lo[n];
      if (hi[n] > to) to = hi[n];
    }
  }
  if (h.split) {
    int a = GROUP(2) * h.split;
    if (a > from) from = a;
    if (a + h.split < to) to = a + h.split;
  }
  from = from / KEYS * KEYS;

  float acc[2][VECTORS];
  for (int s = 0; s < 2; s++) for (int n = 0; n < VECTORS; n++) acc[s][n] = 0.0f;
  int key = id % KEYS, half_ = id / KEYS * (VECTORS / 2);
  for (int k0 = from; k0 < to; k0 += KEYS) {
    float s[VECTORS / 2];
    for (int n = 0; n < VECTORS / 2; n++) s[n] = 0.0f;
    for (int d0 = 0; d0 < h.size; d0 += DIMS) {
      int dims = h.size - d0 < DIMS ? h.size - d0 : DIMS;
      BARRIER();
      for (int i = id; i < KEYS * DIMS; i += SIZE) {
        int j = i / DIMS, d = i % DIMS;
        float x = 0.0f;
        if (k0 + j < to && d < dims) x = AT(k, (u32)(batch * h.k_batch + (k0 + j) * h.k_row + head * h.k_head + d0 + d));
        tk[j * (DIMS + 1) + d] = x;
      }
      BARRIER();
      for (int d = 0; d < dims; d++) {
        float x = tk[key * (DIMS + 1) + d];
        for (int n = 0; n < VECTORS / 2; n++) s[n] = fma(tq[(half_ + n) * WIDTH + d0 + d], x, s[n]);
      }
    }
    for (int n = 0; n < VECTORS / 2; n++) {
      int vec = half_ + n, see = k0 + key >= lo[vec] && k0 + key < hi[vec];
      score[vec * (KEYS + 1) + key] = see ? s[n] * h.scale : -INFINITY;
    }
    BARRIER();
    int vec = id / 8, eighth = id % 8;
    float m = -INFINITY;
    for (int j = eighth; j < KEYS; j += 8) m = fmax(m, score[vec * (KEYS + 1) + j]);
    part[vec * 8 + eighth] = m;
    BARRIER();
    m = top[vec];
    for (int j = 0; j < 8; j++) m = fmax(m, part[vec * 8 + j]);
    float base = m == -INFINITY ? 0.0f : m, l = 0.0f;
    for (int j = eighth; j < KEYS; j += 8) {
      float e = exp(score[vec * (KEYS + 1) + j] - base);
      score[vec * (KEYS + 1) + j] = e;
      l += e;
    }
    BARRIER();
    part[vec * 8 + eighth] = l;
    BARRIER();
    if (eighth == 0) {
      float f = exp(top[vec] - base);  // of -INFINITY: 0
      l = 0.0f;
      for (int j = 0; j < 8; j++) l += part[vec * 8 + j];
      sum[vec] = sum[vec] * f + l;
      shrink[vec] = f;
      top[vec] = m;
    }
    BARRIER();
    int most = to - k0 < KEYS ? to - k0 : KEYS;
    for (int slab = 0; slab < 2; slab++) {
      int d = slab * SIZE + id;
      if (d < h.width) {
        for (int n = 0; n < VECTORS; n++) acc[slab][n] *= shrink[n];
        for (int j0 = 0; j0 < most; j0 += AHEAD) {  // weights beyond the last key are 0
          float x[AHEAD];
          UNROLL for (int j = 0; j < AHEAD; j++)
            x[j] = j0 + j < most ? AT(v, (u32)(batch * h.v_batch + (k0 + j0 + j) * h.v_row + head * h.v_head + d)) : 0.0f;
          UNROLL for (int j = 0; j < AHEAD; j++)
            for (int n = 0; n < VECTORS; n++) acc[slab][n] = fma(score[n * (KEYS + 1) + j0 + j], x[j], acc[slab][n]);
        }
      }
    }
    BARRIER();
  }
  for (int n = 0; n < VECTORS; n++) {
    int vec = first + n;
    if (vec >= vectors) break;
    int row = vec / h.group, own = head * h.group + vec % h.group;
    u32 unit = (u32)((GROUP(1) * vectors + vec) * h.splits + GROUP(2)) * (u32)(h.width + 2);
    for (int slab = 0; slab < 2; slab++) {
      int d = slab * SIZE + id;
      if (d >= h.width) continue;
      if (h.split) parts[unit + 2u + (u32)d] = acc[slab][n];
      else float_to(y, TYPE, (u32)(batch * h.y_batch + row * h.y_row + own * h.y_head + d), sum[n] > 0.0f || sum[n] != sum[n] ? acc[slab][n] / sum[n] : 0.0f);
    }
    if (h.split && id == 0) {
      parts[unit] = top[n];
      parts[unit + 1u] = sum[n];
    }
  }
}

// combine joins what attend made of the splits of a vector's keys, in their order, as
// many splits at a time as a group has work-items.
KERNEL void combine(GLOBAL const void* at, GLOBAL void* y, GLOBAL const float* parts, Heads h) {
  LOCALS(float, tops, SIZE);
  LOCALS(float, sums, SIZE);
  LOCALS(float, weight, SIZE);
  int id = LID(), vec = GROUP(0), batch = GROUP(1) / h.kv_heads, head = GROUP(1) % h.kv_heads;
  int row = vec / h.group, own = head * h.group + vec % h.group, lo, hi;
  seen(at, &h, batch, row, &lo, &hi);
  int splits = hi > 0 ? (hi + h.split - 1) / h.split : 0;
  u32 each = (u32)(h.width + 2), unit = (u32)((GROUP(1) * h.rows * h.group + vec) * h.splits) * each;
  float top = -INFINITY, sum = 0.0f, acc[2];
  acc[0] = acc[1] = 0.0f;
  for (int s0 = 0; s0 < splits; s0 += SIZE) {
    int some = splits - s0 < SIZE ? splits - s0 : SIZE;
    u32 from = unit + (u32)s0 * each;
    float t = id < some ? parts[from + (u32)id * each] : -INFINITY;
    BARRIER();
    tops[id] = t;
    BARRIER();
    float m = top;
    for (int s = 0; s < some; s++) m = fmax(m, tops[s]);
    float base = m == -INFINITY ? 0.0f : m, w = exp(t - base), shrink = exp(top - base);
    weight[id] = w;
    sums[id] = id < some ? w * parts[from + (u32)id * each + 1u] : 0.0f;
    BARRIER();
    sum *= shrink;
    for (int s = 0; s < some; s++) sum += sums[s];
    top = m;
    UNROLL for (int slab = 0; slab < 2; slab++) {
      int d = slab * SIZE + id;
      acc[slab] *= shrink;
      if (d >= h.width) continue;
      for (int s1 = 0; s1 < some; s1 += AHEAD) {
        float x[AHEAD];
        UNROLL for (int s = 0; s < AHEAD; s++) x[s] = s1 + s < some ? parts[from + (u32)(s1 + s) * each + 2u + (u32)d] : 0.0f;
        UNROLL for (int s = 0; s < AHEAD; s++) acc[slab] = fma(s1 + s < some ? weight[s1 + s] : 0.0f, x[s], acc[slab]);
      }
    }
  }
  UNROLL for (int slab = 0; slab < 2; slab++) {
    int d = slab * SIZE + id;
    if (d < h.width) float_to(y, TYPE, (u32)(batch * h.y_batch + row * h.y_row + own * h.y_head + d), sum > 0.0f || sum != sum ? acc[slab] / sum : 0.0f);
  }
}
