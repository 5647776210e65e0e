// Operators over all elements along some axes. One group makes one result.

#define SIZE 64

DEVICE float joined(int f, float x, float y) {
  if (f == 1) return x != x || y != y ? NAN : fmax(x, y);
  if (f == 2) return x != x || y != y ? NAN : fmin(x, y);
  if (f == 3) return x * y;
  return x + y;
}

DEVICE float whole(LOCAL float* part, int f, float v) {
  int t = LID();
  BARRIER();
  part[t] = v;
  BARRIER();
  for (int s = SIZE / 2; s > 0; s >>= 1) {
    if (t < s) part[t] = joined(f, part[t], part[t + s]);
    BARRIER();
  }
  return part[0];
}

// reduce: outer walks the results, inner what each is made of. f is the kind of join
// (0 sum, 1 maximum, 2 minimum, 3 product), before what elements become first (1
// absolute, 2 square, 3 exponential below the largest), after what becomes of the
// result (1 mean, 2 root, 3 logarithm).
KERNEL void reduce(GLOBAL const void* x, GLOBAL void* y, int type, int f, int before, int after, Walk outer, Walk inner) {
  LOCALS(float, part, SIZE);
  i32 from, p, q, r;
  u32 at = (u32)GROUP(0);
  walk_at(&outer, at, &from, &q, &r);
  float top = 0.0f;
  if (before == 3) {
    float m = -INFINITY;
    for (u32 i = (u32)LID(); i < inner.n; i += SIZE) {
      walk_at(&inner, i, &p, &q, &r);
      m = joined(1, m, float_at(x, type, (u32)(from + p)));
    }
    top = whole(part, 1, m);
    if (top == INFINITY || top == -INFINITY) top = 0.0f;
  }
  float v = f == 1 ? -INFINITY : f == 2 ? INFINITY : f == 3 ? 1.0f : 0.0f;
  for (u32 i = (u32)LID(); i < inner.n; i += SIZE) {
    walk_at(&inner, i, &p, &q, &r);
    float e = float_at(x, type, (u32)(from + p));
    if (before == 1) e = fabs(e);
    if (before == 2) e = e * e;
    if (before == 3) e = exp(e - top);
    v = joined(f, v, e);
  }
  v = whole(part, f, v);
  if (after == 1) v = v / (float)inner.n;
  if (after == 2) v = sqrt(v);
  if (after == 3) v = log(v) + top;
  if (LID() == 0) float_to(y, type, at, v);
}

// softmax of x [outer, dim, inner] along dim, or its logarithm.
KERNEL void softmax(GLOBAL const void* x, GLOBAL void* y, int type, int dim, int inner, int logarithm) {
  LOCALS(float, part, SIZE);
  u32 g = (u32)GROUP(0), from = g / (u32)inner * (u32)dim * (u32)inner + g % (u32)inner;
  float m = -INFINITY;
  for (int i = LID(); i < dim; i += SIZE) m = joined(1, m, float_at(x, type, from + (u32)i * (u32)inner));
  m = whole(part, 1, m);
  float s = 0.0f;
  for (int i = LID(); i < dim; i += SIZE) s += exp(float_at(x, type, from + (u32)i * (u32)inner) - m);
  s = whole(part, 0, s);
  float l = log(s);
  for (int i = LID(); i < dim; i += SIZE) {
    u32 at = from + (u32)i * (u32)inner;
    float e = float_at(x, type, at) - m;
    float_to(y, type, at, logarithm ? e - l : exp(e) / s);
  }
}

// arg_best is the place of the largest (sign 1) or smallest (sign -1) element of x [outer,
// dim, inner] along dim: of equal ones the last or the first. NaN comes before all numbers.
KERNEL void arg_best(GLOBAL const void* x, GLOBAL i64* y, int type, int dim, int inner, float sign, int last) {
  LOCALS(float, part, SIZE);
  LOCALS(int, found, SIZE);
  u32 g = (u32)GROUP(0), from = g / (u32)inner * (u32)dim * (u32)inner + g % (u32)inner;
  float top = -INFINITY;
  int at = -1;
  for (int i = LID(); i < dim; i += SIZE) {
    float v = sign * float_at(x, type, from + (u32)i * (u32)inner);
    if (v != v) v = INFINITY;
    if (at < 0 || v > top || (v == top && last)) { top = v; at = i; }
  }
  int t = LID();
  BARRIER();
  part[t] = top;
  found[t] = at;
  BARRIER();
  for (int s = SIZE / 2; s > 0; s >>= 1) {
    if (t < s) {
      float v = part[t + s];
      int j = found[t + s], i = found[t];
      if (j >= 0 && (i < 0 || v > part[t] || (v == part[t] && (last ? j > i : j < i)))) { part[t] = v; found[t] = j; }
    }
    BARRIER();
  }
  if (t == 0) y[g] = found[0];
}
