// What a work-item of the stand-in device sees: its place, and the ways to meet the
// others of its group. The third dialect of the kernels' source is made of these.
#ifndef STANDIN_GROUP_H
#define STANDIN_GROUP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Kernels are functions like others. The preprocessor leaves the word where
// SHOW_KERNELS is defined, so that they are found.
#ifndef SHOW_KERNELS
#define GROUP_KERNEL static
#endif

struct place {
  int item, items;         // in the group
  int group[3], groups[3]; // in the grid
};
extern __thread struct place group_place;

// group_barrier returns when all items of the group have come to it.
void group_barrier(void);
// group_shuffle returns the value of the item in the same 32 whose number differs by
// mask.
uint32_t group_shuffle(uint32_t value, uint32_t mask);
// group_mma is one 16x8x16 product of the tensor cores, fragments as PTX lays them
// out: bf16 if bf is not 0, else half precision.
void group_mma(int bf, float c[4], const uint32_t a[4], const uint32_t b[2]);
// group_ldmatrix loads four 8x8 matrices of 16-bit elements; item i gives the address
// of row i%8 of matrix i/8.
void group_ldmatrix(uint32_t out[4], const void *row, int transposed);
// Copies that have no effect before they are waited for.
void group_copy_async(void *to, const void *from, int bytes, int have);
void group_copy_commit(void);
void group_copy_wait(int pending);
// group_shared is the launch's dynamic memory.
void *group_shared(void);

// What bits and half-precision numbers say.
static inline float group_f32(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static inline uint32_t group_u32(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}
static inline float group_f16(uint16_t h) {
  _Float16 f;
  memcpy(&f, &h, 2);
  return f;
}
static inline uint16_t group_to_f16(float v) {
  _Float16 f = v;
  uint16_t h;
  memcpy(&h, &f, 2);
  return h;
}
static inline uint16_t group_to_bf16(float v) {
  uint32_t u = group_u32(v);
  if ((u & 0x7fffffff) > 0x7f800000) return u >> 16 | 0x40;
  return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

// group_sub2 is the difference of two pairs of bf16, or of half-precision numbers.
static inline uint32_t group_sub2(int bf, uint32_t x, uint32_t y) {
  uint32_t out = 0;
  for (int i = 0; i < 32; i += 16) {
    uint16_t a = x >> i, b = y >> i;
    float d = bf ? group_f32((uint32_t)a << 16) - group_f32((uint32_t)b << 16) : group_f16(a) - group_f16(b);
    out |= (uint32_t)(bf ? group_to_bf16(d) : group_to_f16(d)) << i;
  }
  return out;
}

// group_run runs a kernel over a grid and returns 0, or what went wrong: items of one
// group waited at different places, say.
typedef void (*kernel)(void **args);
const char *group_run(kernel k, void **args, const unsigned groups[3], unsigned items, size_t shared);

#endif
