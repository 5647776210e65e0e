// One source, two languages: OpenCL C where __OPENCL_VERSION__ is defined, else CUDA
// C++ without headers. NVIDIA says that inline PTX works: always in CUDA, and in
// OpenCL where the host defines it.
#ifdef __OPENCL_VERSION__
#pragma OPENCL FP_CONTRACT OFF
#define KERNEL __kernel
#define GLOBAL __global
#define LOCAL __local
#define LOCALS(T, name, n) __local T name[n]
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
#else
#define KERNEL extern "C" __global__
#define GLOBAL
#define LOCAL
#define LOCALS(T, name, n) __shared__ T name[n]
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
