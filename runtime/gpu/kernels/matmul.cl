// Products of two tensors of activations, whatever way they lie.

// matmul is y[i] = alpha·Σ a[i + k·ka]·b[i + k·kb] + beta·c[i]: the walk says where in a,
// b and c element i begins.
KERNEL void matmul(GLOBAL const void* a, int ta, GLOBAL const void* b, int tb, GLOBAL const void* c, int added, GLOBAL void* y, int ty, int k, int ka, int kb, float alpha, float beta, Walk w) {
  EACH(i, w.n) {
    i32 p, q, r;
    walk_at(&w, i, &p, &q, &r);
    float sum = 0.0f;
    for (int j = 0; j < k; j++) sum = fma(float_at(a, ta, (u32)(p + j * ka)), float_at(b, tb, (u32)(q + j * kb)), sum);
    sum *= alpha;
    if (added) sum += beta * float_at(c, ty, (u32)r);
    float_to(y, ty, i, sum);
  }
}
