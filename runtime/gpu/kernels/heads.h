// What the kernels of attention know of heads, and which keys a row sees.

// Heads are extents, and how far apart vectors lie: those of q and y by batch, row and
// head, those of k and v likewise.
typedef struct {
  i32 rows, group, kv_heads, keys, size, width;
  i32 q_batch, q_row, q_head;
  i32 k_batch, k_row, k_head;
  i32 v_batch, v_row, v_head;
  i32 y_batch, y_row, y_head;
  i32 causal;
  i32 lengths;   // type of the lengths of the sequences; 0: all keys count
  i32 segments;  // type of the boundaries of segments, each row's keys; 0: none
  i32 bounds;    // how many
  i32 split;     // keys that a group looks at; 0: all, and y is finished here
  i32 splits;
  float scale;
} Heads;

// seen tells which keys a row sees.
DEVICE void seen(GLOBAL const void* at, const Heads* h, int batch, int row, int* lo, int* hi) {
  *lo = 0;
  *hi = h->keys;
  if (h->segments) {  // the last boundary that is not above the row
    int a = 0, b = h->bounds - 1;
    while (b - a > 1) {
      int m = (a + b) / 2;
      if (int_at(at, h->segments, (u32)m) <= row) a = m;
      else b = m;
    }
    *lo = (int)int_at(at, h->segments, (u32)a);
    *hi = (int)int_at(at, h->segments, (u32)b);
    if (*lo < 0) *lo = 0;
    if (*hi > h->keys) *hi = h->keys;
    return;
  }
  int last = row;
  if (h->lengths) {
    i64 n = int_at(at, h->lengths, (u32)batch);
    *hi = n < 0 ? 0 : n > h->keys ? h->keys : (int)n;
    last = row + *hi - h->rows;
  }
  if (h->causal && last + 1 < *hi) *hi = last + 1 > 0 ? last + 1 : 0;
}
