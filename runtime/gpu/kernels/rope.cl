// Turns are the extents of a tensor of heads [batch, rows, heads, size] as its vectors
// are walked, and how far apart those of the input and of the output lie.
typedef struct {
  i32 rows, heads, size, half_, interleaved, places;
  i32 x_batch, x_row, x_head;
  i32 y_batch, y_row, y_head;
} Turns;

// rope turns the first elements of every vector by the angles of its position (Su et
// al., "RoFormer", 2021) and copies the rest. Positions out of range turn by nothing.
KERNEL void rope(GLOBAL const void* x, int type, GLOBAL const void* cosines, GLOBAL const void* sines, int ta, GLOBAL const void* at, int tp, GLOBAL void* y, int n, Turns s) {
  EACH(i, (u32)n) {
    int turned = 2 * s.half_, each = s.size - s.half_;  // a pair, or one of the rest
    u32 e = i % (u32)each, j = i / (u32)each;
    u32 h = j % (u32)s.heads, k = j / (u32)s.heads;
    u32 r = k % (u32)s.rows, b = k / (u32)s.rows;
    u32 p = b * (u32)s.x_batch + r * (u32)s.x_row + h * (u32)s.x_head;
    u32 q = b * (u32)s.y_batch + r * (u32)s.y_row + h * (u32)s.y_head;
    if ((int)e >= s.half_) {
      u32 o = e - (u32)s.half_ + (u32)turned;
      float_to(y, type, q + o, float_at(x, type, p + o));
      continue;
    }
    i64 angle = k;
    if (at) angle = int_at(at, tp, k);
    float c = 1.0f, d = 0.0f;
    if (angle >= 0 && angle < s.places) {
      c = float_at(cosines, ta, (u32)angle * (u32)s.half_ + e);
      d = float_at(sines, ta, (u32)angle * (u32)s.half_ + e);
    }
    u32 lo = s.interleaved ? 2 * e : e, hi = s.interleaved ? 2 * e + 1 : e + (u32)s.half_;
    float u = float_at(x, type, p + lo), v = float_at(x, type, p + hi);
    float cu = c * u, dv = d * v, du = d * u, cv = c * v;
    float_to(y, type, q + lo, cu - dv);
    float_to(y, type, q + hi, du + cv);
  }
}
