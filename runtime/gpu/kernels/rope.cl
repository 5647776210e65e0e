// Turns are the extents of a tensor of heads [batch, rows, heads, size] as its vectors
// are walked, and how far apart those of the input and of the output lie.
typedef struct {
  i32 rows, heads, size, half_, interleaved, places;
  i32 x_batch, x_row, x_head;
  i32 y_batch, y_row, y_head;
} Turns;

// Angles are the cosines and sines of pairs, and the positions that choose among them.
typedef struct {
  GLOBAL const void* cosines;
  GLOBAL const void* sines;
  GLOBAL const void* at;
  int type, at_type;
} Angles;

// Place is where rows go in a cache: from row at[batch] on. A row that does not fit is left
// out, or goes round.
typedef struct {
  i32 type;  // of at; 0: from row 0 on
  i32 capacity, round;
} Place;

// row_of tells the row of the cache, or -1.
DEVICE i64 row_of(GLOBAL const void* at, const Place* p, u32 batch, u32 row) {
  i64 to = (p->type ? int_at(at, p->type, batch) : 0) + row;
  if (p->round) to %= p->capacity;
  return to >= 0 && to < p->capacity ? to : -1;
}

// turn turns a pair of a vector, or copies one of the elements behind the pairs.
DEVICE void turn(GLOBAL const void* x, int type, const Angles* a, GLOBAL void* y, u32 i, const Turns* s, GLOBAL const void* start, const Place* place) {
  int turned = 2 * s->half_, each = s->size - s->half_;  // a pair, or one of the rest
  u32 e = i % (u32)each, j = i / (u32)each;
  u32 h = j % (u32)s->heads, k = j / (u32)s->heads;
  u32 r = k % (u32)s->rows, b = k / (u32)s->rows;
  i64 to = place ? row_of(start, place, b, r) : (i64)r;
  if (to < 0) return;
  u32 p = b * (u32)s->x_batch + r * (u32)s->x_row + h * (u32)s->x_head;
  u32 q = b * (u32)s->y_batch + (u32)to * (u32)s->y_row + h * (u32)s->y_head;
  if ((int)e >= s->half_) {
    u32 o = e - (u32)s->half_ + (u32)turned;
    float_to(y, type, q + o, float_at(x, type, p + o));
    return;
  }
  i64 angle = k;
  if (a->at) angle = int_at(a->at, a->at_type, k);
  float c = 1.0f, d = 0.0f;
  if (angle >= 0 && angle < s->places) {
    c = float_at(a->cosines, a->type, (u32)angle * (u32)s->half_ + e);
    d = float_at(a->sines, a->type, (u32)angle * (u32)s->half_ + e);
  }
  u32 lo = s->interleaved ? 2 * e : e, hi = s->interleaved ? 2 * e + 1 : e + (u32)s->half_;
  float u = float_at(x, type, p + lo), v = float_at(x, type, p + hi);
  float cu = c * u, dv = d * v, du = d * u, cv = c * v;
  float_to(y, type, q + lo, cu - dv);
  float_to(y, type, q + hi, du + cv);
}

// rope turns the first elements of every vector by the angles of its position (Su et
// al., "RoFormer", 2021) and copies the rest. Positions out of range turn by nothing.
KERNEL void rope(GLOBAL const void* x, int type, GLOBAL const void* cosines, GLOBAL const void* sines, int ta, GLOBAL const void* at, int tp, GLOBAL void* y, int n, Turns s) {
  Angles a;
  a.cosines = cosines; a.sines = sines; a.at = at; a.type = ta; a.at_type = tp;
  EACH(i, (u32)n) turn(x, type, &a, y, i, &s, 0, 0);
}

// into_state is what stands before attention over a state: it turns queries, turns keys into
// their cache, and writes values into theirs. Of values, x_* and y_* are as for keys.
KERNEL void into_state(GLOBAL const void* q, GLOBAL const void* k, GLOBAL const void* v, int type, GLOBAL const void* cosines, GLOBAL const void* sines, int ta,
                 GLOBAL const void* at, int tp, GLOBAL const void* start, Place place, GLOBAL void* queries, GLOBAL void* keys, GLOBAL void* values,
                 int nq, int nk, int nv, Turns sq, Turns sk, Turns sv, int bytes) {
  Angles a;
  a.cosines = cosines; a.sines = sines; a.at = at; a.type = ta; a.at_type = tp;
  EACH(i, (u32)nq + (u32)nk + (u32)nv) {
    if (i < (u32)nq) {
      turn(q, type, &a, queries, i, &sq, 0, 0);
      continue;
    }
    if (i < (u32)nq + (u32)nk) {
      turn(k, type, &a, keys, i - (u32)nq, &sk, start, &place);
      continue;
    }
    u32 n = i - (u32)nq - (u32)nk;
    u32 e = n % (u32)sv.size, j = n / (u32)sv.size;
    u32 h = j % (u32)sv.heads, r = j / (u32)sv.heads % (u32)sv.rows, b = j / (u32)sv.heads / (u32)sv.rows;
    i64 to = row_of(start, &place, b, r);
    if (to >= 0)
      copy_at(values, b * (u32)sv.y_batch + h * (u32)sv.y_head + (u32)to * (u32)sv.y_row + e, v, b * (u32)sv.x_batch + h * (u32)sv.x_head + r * (u32)sv.x_row + e, bytes);
  }
}
