// A stand-in for libcublasLt.so.12 over that for libcuda.so.1: products of matrices as
// the backend asks for them, computed in the queue's order, in double precision. What
// the real library would refuse is refused, and so is what the backend never asks for.
#include "entries.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int status;
enum { OK = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum { REAL_32F = 0, REAL_16F = 2, REAL_16BF = 14, COMPUTE_32F = 68, WORKSPACE = 4096 };

struct handle { int live; };
struct desc { int transposed, epilogue; void *bias; };
struct layout { int type; uint64_t rows, cols; int64_t ld; };
struct preference { uint64_t workspace; };
struct algo { uint64_t kind, rest[7]; };
struct found { struct algo algo; size_t workspace; status state; float waves; int reserved[4]; };

// Of libcuda.c.
int standin_enqueue(void *stream, const struct entry *e, void **args, const size_t *bytes);

size_t cublasLtGetVersion(void) { return 120400; }

const char *cublasLtGetStatusName(status s) {
  switch (s) {
  case OK: return "CUBLAS_STATUS_SUCCESS";
  case NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
  case INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
  case EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
  case NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "CUBLAS_STATUS_UNKNOWN";
}

static struct handle only;

status cublasLtCreate(struct handle **out) {
  only.live++;
  *out = &only;
  return OK;
}

status cublasLtDestroy(struct handle *h) {
  if (h != &only || !only.live) return NOT_INITIALIZED;
  only.live--;
  return OK;
}

status cublasLtMatmulDescCreate(struct desc **out, int compute, int scale) {
  if (compute != COMPUTE_32F || scale != REAL_32F) return INVALID_VALUE;
  *out = calloc(1, sizeof **out);
  (*out)->epilogue = 1;
  return OK;
}

status cublasLtMatmulDescDestroy(struct desc *d) {
  free(d);
  return OK;
}

status cublasLtMatmulDescSetAttribute(struct desc *d, int which, const void *value, size_t size) {
  if (which == 3 && size == 4) return memcpy(&d->transposed, value, 4), OK;
  if (which == 7 && size == 4) return memcpy(&d->epilogue, value, 4), OK;
  if (which == 8 && size == sizeof d->bias) return memcpy(&d->bias, value, size), OK;
  return INVALID_VALUE;
}

status cublasLtMatrixLayoutCreate(struct layout **out, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  if (!rows || !cols || ld < (int64_t)rows || (type != REAL_32F && type != REAL_16F && type != REAL_16BF)) return INVALID_VALUE;
  *out = malloc(sizeof **out);
  **out = (struct layout){type, rows, cols, ld};
  return OK;
}

status cublasLtMatrixLayoutDestroy(struct layout *l) {
  free(l);
  return OK;
}

status cublasLtMatmulPreferenceCreate(struct preference **out) {
  *out = calloc(1, sizeof **out);
  return OK;
}

status cublasLtMatmulPreferenceDestroy(struct preference *p) {
  free(p);
  return OK;
}

status cublasLtMatmulPreferenceSetAttribute(struct preference *p, int which, const void *value, size_t size) {
  if (which != 1 || size != 8) return INVALID_VALUE;
  memcpy(&p->workspace, value, 8);
  return OK;
}

// kind names an algorithm by what it was chosen for.
static uint64_t kind(const struct desc *d, const struct layout *w, const struct layout *y) {
  return ((w->rows * 31 + y->rows) * 31 + y->cols) * 31 + w->type * 8 + d->epilogue;
}

static int fit(const struct layout *w, const struct layout *a, const struct layout *c, const struct layout *y) {
  return w->type == a->type && a->type == y->type && y->type == c->type && w->rows == a->rows && w->cols == y->rows && a->cols == y->cols &&
         c->rows == y->rows && c->cols == y->cols;
}

status cublasLtMatmulAlgoGetHeuristic(struct handle *h, struct desc *d, struct layout *w, struct layout *a, struct layout *c, struct layout *y,
                                      struct preference *p, int wanted, struct found *out, int *n) {
  _Static_assert(sizeof *out == 96, "cublasLtMatmulHeuristicResult_t");
  if (!h || !only.live || wanted != 1 || !fit(w, a, c, y) || !d->transposed || (d->epilogue == 4 && !d->bias)) return INVALID_VALUE;
  if (p->workspace < WORKSPACE) return NOT_SUPPORTED;
  *out = (struct found){.algo = {kind(d, w, y)}, .workspace = WORKSPACE};
  *n = 1;
  return OK;
}

static float from16(unsigned h) {
  unsigned sign = (h & 0x8000u) << 16, e = h >> 10 & 31, m = h & 1023, u;
  float f;
  if (e == 31) u = sign | 0x7f800000u | m << 13;
  else if (e) u = sign | (e + 112) << 23 | m << 13;
  else {
    f = m * 0x1p-24f;
    memcpy(&u, &f, 4);
    u |= sign;
  }
  memcpy(&f, &u, 4);
  return f;
}

static double get(const void *at, uint64_t i, int type) {
  unsigned u;
  float f;
  switch (type) {
  case REAL_32F: return ((const float *)at)[i];
  case REAL_16F: return from16(((const uint16_t *)at)[i]);
  }
  u = (unsigned)((const uint16_t *)at)[i] << 16;
  memcpy(&f, &u, 4);
  return f;
}

static void put(void *at, uint64_t i, int type, float f) {
  unsigned u;
  memcpy(&u, &f, 4);
  switch (type) {
  case REAL_32F: ((float *)at)[i] = f; return;
  case REAL_16BF: ((uint16_t *)at)[i] = (u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 64 : (u + 0x7fff + (u >> 16 & 1)) >> 16; return;
  }
  unsigned sign = u >> 16 & 0x8000, h;
  u &= 0x7fffffff;
  if (u > 0x7f800000) h = 0x7e00;
  else if (u >= 0x477ff000) h = 0x7c00;
  else if (u >= 0x38800000) h = (u - 0x38000000 + 0xfff + (u >> 13 & 1)) >> 13;
  else { // to whole multiples of 2^-24, ties to even, as adding 0.5 rounds them
    float tiny;
    memcpy(&tiny, &u, 4);
    tiny += 0.5f;
    memcpy(&h, &tiny, 4);
    h -= 0x3f000000;
  }
  ((uint16_t *)at)[i] = sign | h;
}

struct what { uint64_t m, n, k; int type; float alpha, beta; };

enum { W, A, BIAS, C, Y, SCRATCH, WHAT, ARGS };

static void multiply(void **args) {
  struct what p;
  memcpy(&p, args[WHAT], sizeof p);
  void *at[WHAT];
  for (int i = 0; i < WHAT; i++) at[i] = *(void **)args[i];
  memset(at[SCRATCH], 0x5a, WORKSPACE); // as the library would
  for (uint64_t i = 0; i < p.m; i++)
    for (uint64_t j = 0; j < p.n; j++) {
      double sum = 0;
      for (uint64_t k = 0; k < p.k; k++) sum += get(at[A], i * p.k + k, p.type) * get(at[W], j * p.k + k, p.type);
      sum *= p.alpha;
      if (p.beta) sum += p.beta * get(at[C], i * p.n + j, p.type);
      if (at[BIAS]) sum += get(at[BIAS], j, p.type);
      put(at[Y], i * p.n + j, p.type, sum);
    }
}

status cublasLtMatmul(struct handle *h, struct desc *d, const float *alpha, void *w, struct layout *lw, void *a, struct layout *la, const float *beta,
                      void *c, struct layout *lc, void *y, struct layout *ly, const struct algo *algo, void *workspace, size_t size, void *stream) {
  if (!h || !only.live || !fit(lw, la, lc, ly) || algo->kind != kind(d, lw, ly) || size < WORKSPACE || (uintptr_t)workspace % 256) return INVALID_VALUE;
  struct what p = {ly->cols, ly->rows, lw->rows, ly->type, *alpha, *beta};
  size_t each = p.type == REAL_32F ? 4 : 2;
  void *bias = d->epilogue == 4 ? d->bias : NULL;
  static const struct entry one = {"cublasLtMatmul", multiply, ARGS, 0x3f, {8, 8, 8, 8, 8, 8, sizeof p}};
  static const struct entry bare = {"cublasLtMatmul", multiply, ARGS, 0x3b, {8, 8, 8, 8, 8, 8, sizeof p}};
  void *args[ARGS] = {&w, &a, &bias, &c, &y, &workspace, &p};
  size_t bytes[ARGS] = {p.n * p.k * each, p.m * p.k * each, p.n * each, p.m * p.n * each, p.m * p.n * each, WORKSPACE};
  return standin_enqueue(stream, bias ? &one : &bare, args, bytes) ? EXECUTION_FAILED : OK;
}
