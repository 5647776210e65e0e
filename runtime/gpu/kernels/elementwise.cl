// Operators that make one element from the elements at one place of their inputs.
// The numbers of functions are those of elementwise.go and unary.go.

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

DEVICE float unary_of(int f, float x, float a, float b) {
  switch (f) {
    case 0: return fabs(x);
    case 1: return ceil(x);
    case 2: return cos(x);
    case 3: return x >= 0.0f ? x : a * expm1(x);
    case 4: return erf(x);
    case 5: return exp(x);
    case 6: return floor(x);
    case 7: return 0.5f * x * (1.0f + erf(x * 0.70710678118654752f));
    case 8: return 0.5f * x * (1.0f + tanh(0.7978845608028654f * (x + 0.044715f * x * x * x)));
    case 9: return fmin(1.0f, fmax(0.0f, a * x + b));
    case 10: return x * fmin(1.0f, fmax(0.0f, x / 6.0f + 0.5f));
    case 11: return x >= 0.0f ? x : a * x;
    case 12: return log(x);
    case 13: return -x;
    case 14: return 1.0f / x;
    case 15: return x > 0.0f || x != x ? x : 0.0f;
    case 16: return rint(x);
    case 17: return sigmoid(x);
    case 18: return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
    case 19: return sin(x);
    case 20: return x > 0.0f ? x + log1p(exp(-x)) : log1p(exp(x));
    case 21: return sqrt(x);
    case 22: return x * sigmoid(a * x);
    case 23: return tanh(x);
    case 24: x = x < a ? a : x; return x > b ? b : x;
  }
  return x;
}

KERNEL void unary(GLOBAL const void* x, int type, GLOBAL void* y, int n, int f, float a, float b) {
  EACH(i, (u32)n) float_to(y, type, i, unary_of(f, float_at(x, type, i), a, b));
}

// truncated makes an integer of a float: NaN gives 0, out of range the nearest limit;
// what is narrower than 32 bits has the low bits of an int32 made so.
DEVICE i64 truncated(float v, int to) {
  if (v != v) return 0;
  if (to == I64) {
    if (v >= 9223372036854775808.0f) return 0x7fffffffffffffff;
    if (v <= -9223372036854775808.0f) return -0x7fffffffffffffff - 1;
  } else if (to == U32) {
    if (v >= 4294967296.0f) return 0xffffffffL;
    if (v <= 0.0f) return 0;
  } else {
    if (v >= 2147483648.0f) return 0x7fffffff;
    if (v <= -2147483648.0f) return -2147483647 - 1;
  }
  return (i64)v;
}

KERNEL void cast(GLOBAL const void* x, int from, GLOBAL void* y, int to, int n) {
  EACH(i, (u32)n) {
    if (is_float(from)) {
      float v = float_at(x, from, i);
      if (is_float(to)) float_to(y, to, i, v);
      else if (to == BOOL) int_to(y, to, i, v != 0.0f);
      else int_to(y, to, i, truncated(v, to));
    } else {
      i64 v = int_at(x, from, i);
      if (is_float(to)) float_to(y, to, i, (float)v);
      else if (to == BOOL) int_to(y, to, i, v != 0);
      else int_to(y, to, i, v);
    }
  }
}

DEVICE float binary_of(int f, float x, float y, float a) {
  switch (f) {
    case 0: return x + y;
    case 1: return x - y;
    case 2: return x * y;
    case 3: return x / y;
    case 4: return x != x || y != y ? NAN : fmax(x, y);
    case 5: return x != x || y != y ? NAN : fmin(x, y);
    case 6: return pow(x, y);
    case 7: return x * sigmoid(a * x) * y;
  }
  return x;
}

DEVICE int compare(int f, float x, float y) {
  switch (f) {
    case 16: return x == y;
    case 17: return x > y;
    case 18: return x >= y;
    case 19: return x < y;
  }
  return x <= y;
}

DEVICE i64 integers(int f, i64 x, i64 y) {
  switch (f) {
    case 0: return x + y;
    case 1: return x - y;
    case 2: return x * y;
    case 4: return x > y ? x : y;
    case 5: return x < y ? x : y;
    case 16: return x == y;
    case 17: return x > y;
    case 18: return x >= y;
    case 19: return x < y;
    case 20: return x <= y;
    case 24: return x & y;
    case 25: return x | y;
    case 26: return x ^ y;
  }
  return x;
}

KERNEL void binary(GLOBAL const void* x, GLOBAL const void* y, GLOBAL void* z, int from, int to, int f, float a, Walk w) {
  EACH(i, w.n) {
    i32 p, q, r;
    walk_at(&w, i, &p, &q, &r);
    if (!is_float(from)) int_to(z, to, i, integers(f, int_at(x, from, (u32)p), int_at(y, from, (u32)q)));
    else if (f >= 16) int_to(z, to, i, compare(f, float_at(x, from, (u32)p), float_at(y, from, (u32)q)));
    else float_to(z, to, i, binary_of(f, float_at(x, from, (u32)p), float_at(y, from, (u32)q), a));
  }
}

KERNEL void where(GLOBAL const u8* c, GLOBAL const void* x, GLOBAL const void* y, GLOBAL void* z, int bytes, Walk w) {
  EACH(i, w.n) {
    i32 p, q, r;
    walk_at(&w, i, &p, &q, &r);
    if (c[p]) copy_at(z, i, x, (u32)q, bytes);
    else copy_at(z, i, y, (u32)r, bytes);
  }
}
