// Operators that move elements without looking at them.

// move copies element by element: y[to + ...b] = x[from + ...a].
KERNEL void move(GLOBAL const void* x, GLOBAL void* y, int from, int to, int bytes, Walk w) {
  EACH(i, w.n) {
    i32 p, q, r;
    walk_at(&w, i, &p, &q, &r);
    copy_at(y, (u32)(to + q), x, (u32)(from + p), bytes);
  }
}

// gather is y[o, k, i] = x[o, at[k], i] for x [outer, dim, inner]. An index out of
// range gives zeros.
KERNEL void gather(GLOBAL const void* x, GLOBAL const void* at, int type, GLOBAL void* y, int n, int dim, int count, int inner, int bytes) {
  EACH(i, (u32)n) {
    u32 in = i % (u32)inner, rest = i / (u32)inner;
    u32 k = rest % (u32)count, o = rest / (u32)count;
    i64 j = int_at(at, type, k);
    if (j < 0) j += dim;
    if (j >= 0 && j < dim) copy_at(y, i, x, (o * (u32)dim + (u32)j) * (u32)inner + in, bytes);
    else for (int b = 0; b < bytes; b++) ((GLOBAL u8*)y)[i * (u32)bytes + (u32)b] = 0;
  }
}

// Places are the extents that tuples of indexes name elements by, and the stretch
// that each element has.
typedef struct {
  i32 depth;
  i32 dim[8], step[8];
} Places;

DEVICE i64 place(GLOBAL const void* at, int type, u32 tuple, const Places* p) {
  i64 to = 0;
  for (int d = 0; d < p->depth; d++) {
    i64 j = int_at(at, type, tuple * (u32)p->depth + (u32)d);
    if (j < 0) j += p->dim[d];
    if (j < 0 || j >= p->dim[d]) return -1;
    to += j * p->step[d];
  }
  return to;
}

// gather_nd is y[k] = x[at[k]] for stretches of inner elements; count tuples belong to
// each of the batches of x, which are apart by batch elements. Out of range gives zeros.
KERNEL void gather_nd(GLOBAL const void* x, GLOBAL const void* at, int type, GLOBAL void* y, int n, int count, int batch, int inner, int bytes, Places p) {
  EACH(i, (u32)n) {
    u32 in = i % (u32)inner, k = i / (u32)inner;
    i64 from = place(at, type, k, &p);
    if (from >= 0) copy_at(y, i, x, (k / (u32)count) * (u32)batch + (u32)from + in, bytes);
    else for (int b = 0; b < bytes; b++) ((GLOBAL u8*)y)[i * (u32)bytes + (u32)b] = 0;
  }
}

// scatter_nd is y[at[k]] = x[k]. Out of range is left out.
KERNEL void scatter_nd(GLOBAL const void* x, GLOBAL const void* at, int type, GLOBAL void* y, int n, int inner, int bytes, Places p) {
  EACH(i, (u32)n) {
    u32 in = i % (u32)inner, k = i / (u32)inner;
    i64 to = place(at, type, k, &p);
    if (to >= 0) copy_at(y, (u32)to + in, x, i, bytes);
  }
}

// Rows are the extents of an update [batch, outer, rows, width] and how far apart its
// vectors lie.
typedef struct {
  i32 outer, rows, width, capacity, round;
  i32 batch, head, row;
} Rows;

// scatter_rows writes an update into a cache [batch, outer, capacity, width], for each
// batch from row at[batch] on. A row that does not fit is left out, or goes round.
KERNEL void scatter_rows(GLOBAL void* cache, GLOBAL const void* x, GLOBAL const void* at, int type, int n, int bytes, Rows s) {
  EACH(i, (u32)n) {
    u32 e = i % (u32)s.width, j = i / (u32)s.width;
    u32 r = j % (u32)s.rows, o = j / (u32)s.rows;
    u32 h = o % (u32)s.outer, b = o / (u32)s.outer;
    i64 to = (at ? int_at(at, type, b) : 0) + r;
    if (s.round) to %= s.capacity;
    if (to >= 0 && to < s.capacity)
      copy_at(cache, (o * (u32)s.capacity + (u32)to) * (u32)s.width + e, x, b * (u32)s.batch + h * (u32)s.head + r * (u32)s.row + e, bytes);
  }
}

// Sections are stretches of the last axis, up to eight, and the place of the first axis that
// each is taken from.
typedef struct {
  i32 count;
  i32 end[8], index[8];
} Sections;

// sections is y[r, e] = x[index[s], r, e] for x [dim, rows, width], where e lies in section s.
KERNEL void sections(GLOBAL const void* x, GLOBAL void* y, int n, int width, int bytes, Sections s) {
  EACH(i, (u32)n) {
    i32 e = (i32)(i % (u32)width), k = 0;
    while (k < s.count - 1 && e >= s.end[k]) k++;
    copy_at(y, i, x, (u32)s.index[k] * (u32)n + i, bytes);
  }
}
