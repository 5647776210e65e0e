// One source, three languages: OpenCL C where __OPENCL_VERSION__ is defined, C of the
// host where STANDIN is, for tests (runtime/cuda/standin), else CUDA C++ without headers. NVIDIA says that inline PTX works: always in CUDA, and in
// OpenCL where the host defines it. ITEMS says how many work-items a kernel's groups have, and
// of how many groups a processor must hold the registers.
#ifdef __OPENCL_VERSION__
#pragma OPENCL FP_CONTRACT OFF
#define KERNEL __kernel
#define ITEMS(n, groups) __attribute__((reqd_work_group_size(n, 1, 1)))
#define GLOBAL __global
#define LOCAL __local
#define LOCALS(T, name, n) __local T name[n]
#define LOCALS16(T, name, n) __local __attribute__((aligned(16))) T name[n]
#define UNROLL __attribute__((opencl_unroll_hint))
#define FAST_EXP(x) native_exp(x)
#define DEVICE static inline
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define LID() ((int)get_local_id(0))
#define LSIZE() ((int)get_local_size(0))
#define GROUP(d) ((int)get_group_id(d))
#define GROUPS(d) ((int)get_num_groups(d))
#define AS_F32(u) as_float(u)
#define AS_U32(f) as_uint(f)
typedef char i8;
typedef uchar u8;
typedef short i16;
typedef ushort u16;
typedef int i32;
typedef uint u32;
typedef long i64;
typedef ulong u64;
#ifdef NVIDIA
#define asm __asm__
static inline float f16_f32(u16 h) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); return f; }
#define F16_AT(p, i) f16_f32(((GLOBAL const u16*)(p))[i])
#else
#define F16_AT(p, i) vload_half(i, (GLOBAL const half*)(p))
#endif
#define F16_TO(p, i, v) vstore_half_rte(v, i, (GLOBAL half*)(p))
#elif defined(STANDIN)
#include "group.h"
#include <math.h>
#include <tgmath.h>
#define KERNEL GROUP_KERNEL
#define ITEMS(n, groups)
#define GLOBAL
#define LOCAL
#define LOCALS(T, name, n) static __thread T name[n]
#define LOCALS16(T, name, n) static __thread _Alignas(16) T name[n]
#define UNROLL
#define FAST_EXP(x) expf(x)
#define DEVICE static inline
#define BARRIER() group_barrier()
#define LID() (group_place.item)
#define LSIZE() (group_place.items)
#define GROUP(d) (group_place.group[d])
#define GROUPS(d) (group_place.groups[d])
#define AS_F32(u) group_f32(u)
#define AS_U32(f) group_u32(f)
typedef int8_t i8;
typedef uint8_t u8;
typedef int16_t i16;
typedef uint16_t u16;
typedef int32_t i32;
typedef uint32_t u32;
typedef long long i64;
typedef unsigned long long u64;
#define NVIDIA 1
typedef struct { u32 x, y, z, w; } uint4;
typedef struct { float x, y, z, w; } float4;
#define f16_f32(h) group_f16(h)
#define F16_AT(p, i) group_f16(((const u16*)(p))[i])
#define F16_TO(p, i, v) (((u16*)(p))[i] = group_to_f16(v))
#else
#define KERNEL extern "C" __global__
#define ITEMS(n, groups) __launch_bounds__(n, groups)
#define GLOBAL
#define LOCAL
#define LOCALS(T, name, n) __shared__ T name[n]
#define LOCALS16(T, name, n) __shared__ __align__(16) T name[n]
#define UNROLL _Pragma("unroll")
#define FAST_EXP(x) __expf(x)
#define DEVICE static __device__ __forceinline__
#define BARRIER() __syncthreads()
#define LID() ((int)threadIdx.x)
#define LSIZE() ((int)blockDim.x)
#define GROUP(d) ((int)((d) == 0 ? blockIdx.x : (d) == 1 ? blockIdx.y : blockIdx.z))
#define GROUPS(d) ((int)((d) == 0 ? gridDim.x : (d) == 1 ? gridDim.y : gridDim.z))
#define AS_F32(u) __uint_as_float(u)
#define AS_U32(f) __float_as_uint(f)
typedef signed char i8;
typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
#define INFINITY AS_F32(0x7f800000u)
#define NAN AS_F32(0x7fc00000u)
#define NVIDIA 1
DEVICE float f16_f32(u16 h) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); return f; }
DEVICE u16 f32_f16(float f) { u16 h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f)); return h; }
#define F16_AT(p, i) f16_f32(((const u16*)(p))[i])
#define F16_TO(p, i, v) (((u16*)(p))[i] = f32_f16(v))
#define rint(x) rintf(x)
#endif

// What 32 neighbours of a group do together on NVIDIA's processors, from sm_80 on: a
// product of tiles (PTX's m16n8k16), tiles of 8 by 8 read for it, and exchange. SUB2 is
// the difference of two pairs of 16-bit numbers, BYTE2 a pair of byte j of u below high. FENCE is between what a group writes to
// global memory and what others do after COUNTED, which returns what it adds one to. Copies
// from global to local memory, of so many bytes of which the first have are there and the
// others become 0, take effect when they have been waited for: all but the last n
// that were committed.
#ifdef STANDIN
#define SHUFFLE(v, mask) group_f32(group_shuffle(group_u32(v), mask))
#define LDMATRIX(out, p) group_ldmatrix(out, p, 0)
#define LDMATRIX_T(out, p) group_ldmatrix(out, p, 1)
#define MMA_F16(c, a, b) group_mma(0, c, a, b)
#define MMA_BF16(c, a, b) group_mma(1, c, a, b)
#define PACK_F16(x, y) ((u32)group_to_f16(x) | (u32)group_to_f16(y) << 16)
#define PACK_BF16(x, y) ((u32)group_to_bf16(x) | (u32)group_to_bf16(y) << 16)
#define BYTE2(u, j, high) (((u) >> (8u * (j)) & 255u) * 0x00010001u | (high) * 0x01000100u)
#define SUB2_F16(x, y) group_sub2(0, x, y)
#define SUB2_BF16(x, y) group_sub2(1, x, y)
#define FENCE()
#define COUNTED(p) ((*(p))++)
#define COPY_ASYNC_16(to, from, have) group_copy_async(to, from, 16, have)
#define COPY_ASYNC_8(to, from, have) group_copy_async(to, from, 8, have)
#define COPY_COMMIT() group_copy_commit()
#define COPY_WAIT(n) group_copy_wait(n)
#elif defined(NVIDIA)
#ifdef __OPENCL_VERSION__
#define ASM __asm__ volatile
#define LOCAL_AT(p) ((u32)(size_t)(p))
#else
#define ASM asm volatile
#define LOCAL_AT(p) ((u32)__cvta_generic_to_shared(p))
#endif
DEVICE float shuffled(float v, u32 mask) {
  u32 r;
  ASM("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(r) : "r"(AS_U32(v)), "r"(mask));
  return AS_F32(r);
}
#define SHUFFLE(v, mask) shuffled(v, mask)
#define FENCE() ASM("membar.gl;" : : : "memory")
DEVICE u32 counted(GLOBAL u32* p) {
  u32 r;
  ASM("atom.global.add.u32 %0, [%1], 1;" : "=r"(r) : "l"(p) : "memory");
  return r;
}
#define COUNTED(p) counted(p)
#define LDMATRIX(out, p) \
  ASM("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" \
      : "=r"((out)[0]), "=r"((out)[1]), "=r"((out)[2]), "=r"((out)[3]) : "r"(LOCAL_AT(p)) : "memory")
#define LDMATRIX_T(out, p) \
  ASM("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" \
      : "=r"((out)[0]), "=r"((out)[1]), "=r"((out)[2]), "=r"((out)[3]) : "r"(LOCAL_AT(p)) : "memory")
#define MMA_OF(type, c, a, b) \
  ASM("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
      : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3]) \
      : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"((b)[0]), "r"((b)[1]))
#define MMA_F16(c, a, b) MMA_OF("f16", c, a, b)
#define MMA_BF16(c, a, b) MMA_OF("bf16", c, a, b)
DEVICE u32 packed_f16(float x, float y) {
  u32 r;
  ASM("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(y), "f"(x));
  return r;
}
DEVICE u32 packed_bf16(float x, float y) {
  u32 r;
  ASM("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(y), "f"(x));
  return r;
}
DEVICE u32 less_f16(u32 x, u32 y) {
  u32 r;
  ASM("sub.f16x2 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y));
  return r;
}
DEVICE u32 less_bf16(u32 x, u32 y) {  // y·(-1) + x: sm_80 has no difference
  u32 r;
  ASM("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(y), "r"(0xbf80bf80u), "r"(x));
  return r;
}
DEVICE u32 byte_twice(u32 u, u32 high, u32 select) {
  u32 r;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(u), "r"(high), "r"(select));
  return r;
}
#define BYTE2(u, j, high) byte_twice(u, high, 0x4040u | (j) * 0x0101u)
#define SUB2_F16(x, y) less_f16(x, y)
#define SUB2_BF16(x, y) less_bf16(x, y)
#define PACK_F16(x, y) packed_f16(x, y)
#define PACK_BF16(x, y) packed_bf16(x, y)
#define COPY_ASYNC_16(to, from, have) \
  ASM("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(LOCAL_AT(to)), "l"(from), "r"(have) : "memory")
#define COPY_ASYNC_8(to, from, have) \
  ASM("cp.async.ca.shared.global [%0], [%1], 8, %2;" : : "r"(LOCAL_AT(to)), "l"(from), "r"(have) : "memory")
#define COPY_COMMIT() ASM("cp.async.commit_group;" : : : "memory")
#define COPY_WAIT(n) ASM("cp.async.wait_group %0;" : : "n"(n) : "memory")
#endif

// Element types, as ONNX numbers them.
#define F32 1
#define U8 2
#define I8 3
#define U16 4
#define I16 5
#define I32 6
#define I64 7
#define BOOL 9
#define F16 10
#define U32 12
#define U64 13
#define BF16 16

#define BF16_F32(u) AS_F32((u32)(u) << 16)

// f32_bf16 rounds to nearest, ties to even.
DEVICE u16 f32_bf16(float f) {
  u32 u = AS_U32(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (u16)(u >> 16 | 0x40);
  return (u16)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

// float_at returns element i of a float type.
DEVICE float float_at(GLOBAL const void* p, int type, u32 i) {
  switch (type) {
    case F16: return F16_AT(p, i);
    case BF16: return BF16_F32(((GLOBAL const u16*)p)[i]);
  }
  return ((GLOBAL const float*)p)[i];
}

// float_to rounds v to a float type and stores it as element i.
DEVICE void float_to(GLOBAL void* p, int type, u32 i, float v) {
  switch (type) {
    case F16: F16_TO(p, i, v); return;
    case BF16: ((GLOBAL u16*)p)[i] = f32_bf16(v); return;
  }
  ((GLOBAL float*)p)[i] = v;
}

// rounded rounds v to a float type.
DEVICE float rounded(int type, float v) {
  if (type == BF16) return BF16_F32(f32_bf16(v));
  if (type == F16) {
    u32 a = AS_U32(v) & 0x7fffffffu;
    if (a - 0x38800000u < 0x477ff000u - 0x38800000u) {
      u32 u = AS_U32(v);
      return AS_F32((u + 0xfffu + (u >> 13 & 1u)) & ~0x1fffu);
    }
    if (a >= 0x477ff000u) return a > 0x7f800000u ? v : v > 0.0f ? INFINITY : -INFINITY;
    return rint(v * 16777216.0f) * (1.0f / 16777216.0f);  // multiples of 2^-24
  }
  return v;
}

// int_at returns element i of an integer type or of bools; of U64, its bits.
DEVICE i64 int_at(GLOBAL const void* p, int type, u32 i) {
  switch (type) {
    case U8: case BOOL: return ((GLOBAL const u8*)p)[i];
    case I8: return ((GLOBAL const i8*)p)[i];
    case U16: return ((GLOBAL const u16*)p)[i];
    case I16: return ((GLOBAL const i16*)p)[i];
    case I32: return ((GLOBAL const i32*)p)[i];
    case U32: return ((GLOBAL const u32*)p)[i];
  }
  return ((GLOBAL const i64*)p)[i];
}

// int_to stores the low bits of v as element i.
DEVICE void int_to(GLOBAL void* p, int type, u32 i, i64 v) {
  switch (type) {
    case U8: case I8: case BOOL: ((GLOBAL u8*)p)[i] = (u8)v; return;
    case U16: case I16: ((GLOBAL u16*)p)[i] = (u16)v; return;
    case I32: case U32: ((GLOBAL u32*)p)[i] = (u32)v; return;
  }
  ((GLOBAL i64*)p)[i] = v;
}

DEVICE int is_float(int type) { return type == F32 || type == F16 || type == BF16; }

// copy_at copies one element of so many bytes.
DEVICE void copy_at(GLOBAL void* y, u32 to, GLOBAL const void* x, u32 from, int bytes) {
  switch (bytes) {
    case 1: ((GLOBAL u8*)y)[to] = ((GLOBAL const u8*)x)[from]; return;
    case 2: ((GLOBAL u16*)y)[to] = ((GLOBAL const u16*)x)[from]; return;
    case 4: ((GLOBAL u32*)y)[to] = ((GLOBAL const u32*)x)[from]; return;
  }
  ((GLOBAL u64*)y)[to] = ((GLOBAL const u64*)x)[from];
}

// f32_8, bf16_8 and f16_8 store elements 8·i to 8·i+7 of an array that begins at a
// multiple of 16 bytes in v.
DEVICE void f32_8(GLOBAL const void* p, u64 i, float* v) {
  float4 a = ((GLOBAL const float4*)p)[2 * i], b = ((GLOBAL const float4*)p)[2 * i + 1];
  v[0] = a.x; v[1] = a.y; v[2] = a.z; v[3] = a.w;
  v[4] = b.x; v[5] = b.y; v[6] = b.z; v[7] = b.w;
}

DEVICE void bf16_8(GLOBAL const void* p, u64 i, float* v) {
  uint4 a = ((GLOBAL const uint4*)p)[i];
  v[0] = AS_F32(a.x << 16); v[1] = AS_F32(a.x & 0xffff0000u);
  v[2] = AS_F32(a.y << 16); v[3] = AS_F32(a.y & 0xffff0000u);
  v[4] = AS_F32(a.z << 16); v[5] = AS_F32(a.z & 0xffff0000u);
  v[6] = AS_F32(a.w << 16); v[7] = AS_F32(a.w & 0xffff0000u);
}

DEVICE void f16_8(GLOBAL const void* p, u64 i, float* v) {
#ifdef NVIDIA
  uint4 a = ((GLOBAL const uint4*)p)[i];
  v[0] = f16_f32((u16)a.x); v[1] = f16_f32((u16)(a.x >> 16));
  v[2] = f16_f32((u16)a.y); v[3] = f16_f32((u16)(a.y >> 16));
  v[4] = f16_f32((u16)a.z); v[5] = f16_f32((u16)(a.z >> 16));
  v[6] = f16_f32((u16)a.w); v[7] = f16_f32((u16)(a.w >> 16));
#else
  vstore8(vload_half8(i, (GLOBAL const half*)p), 0, v);
#endif
}

// Walk goes over n elements of up to eight axes, the last one fastest, along with three
// other tensors: a, b and c say by how many elements each of theirs go on.
typedef struct {
  u32 n;
  i32 axes;
  u32 dim[8];
  i32 a[8], b[8], c[8];
} Walk;

// walk_at tells where element i lies in the three.
DEVICE void walk_at(const Walk* w, u32 i, i32* a, i32* b, i32* c) {
  i32 x = 0, y = 0, z = 0;
  for (int d = w->axes - 1; d > 0; d--) {
    u32 q = i / w->dim[d];
    i32 r = (i32)(i - q * w->dim[d]);
    x += r * w->a[d];
    y += r * w->b[d];
    z += r * w->c[d];
    i = q;
  }
  *a = x + (i32)i * w->a[0];
  *b = y + (i32)i * w->b[0];
  *c = z + (i32)i * w->c[0];
}

// EACH strides over n elements by the whole grid.
#define EACH(i, n) for (u32 i = (u32)GROUP(0) * (u32)LSIZE() + (u32)LID(); i < (n); i += (u32)GROUPS(0) * (u32)LSIZE())
