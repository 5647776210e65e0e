// The k best of many numbers, in order. Stretches of CHUNK are sorted each in a group of
// its own (Batcher, "Sorting networks and their applications", 1968), their k best are the
// numbers of the next launch, until one stretch is left.

#define CHUNK 2048
#define SIZE (u32)LSIZE()

// key_of orders numbers as their keys: the better one has the larger key, of equal ones
// the earlier. NaN counts as infinity where the largest are wanted, as the least where
// the smallest are. No key is 0.
DEVICE u64 key_of(float v, float sign, u32 place) {
  v = v * sign + 0.0f;  // -0 becomes 0
  if (v != v) v = sign > 0.0f ? INFINITY : -INFINITY;
  u32 u = AS_U32(v);
  u = u & 0x80000000u ? ~u : u | 0x80000000u;
  return (u64)u << 32 | (u64)(0xffffffffu - place);
}

// top_k: group 0 chooses the stretch, group 1 the row of x [outer, dim, inner] along dim. n
// numbers of a row are left: those of x, or the keys that the launch before found. The last
// launch writes values and places.
KERNEL void top_k(GLOBAL const void* x, GLOBAL const u64* keys, GLOBAL u64* found, GLOBAL void* y, GLOBAL i64* at, int type, int dim, int inner, int n, int k, float sign) {
  LOCALS(u64, key, CHUNK);
  u32 g = (u32)GROUP(1), from = g / (u32)inner * (u32)dim * (u32)inner + g % (u32)inner;
  for (u32 i = (u32)LID(); i < CHUNK; i += SIZE) {
    u32 j = (u32)GROUP(0) * CHUNK + i;
    u64 v = 0;
    if (j < (u32)n) v = keys ? keys[(u64)g * (u64)n + j] : key_of(float_at(x, type, from + j * (u32)inner), sign, j);
    key[i] = v;
  }
  for (u32 size = 2; size <= CHUNK; size *= 2) {
    for (u32 apart = size / 2; apart > 0; apart /= 2) {
      BARRIER();
      for (u32 i = (u32)LID(); i < CHUNK / 2; i += SIZE) {
        u32 a = i / apart * apart * 2 + i % apart, b = a + apart;
        u64 u = key[a], v = key[b];
        if ((u < v) == ((a & size) == 0)) {
          key[a] = v;
          key[b] = u;
        }
      }
    }
  }
  BARRIER();
  for (u32 i = (u32)LID(); i < (u32)k; i += SIZE) {
    if (found) {
      found[((u64)g * (u64)GROUPS(0) + (u64)GROUP(0)) * (u64)k + i] = key[i];
      continue;
    }
    u32 place = 0xffffffffu - (u32)key[i];
    u32 to = (g / (u32)inner * (u32)k + i) * (u32)inner + g % (u32)inner;
    if (at) at[to] = place;
    if (y) float_to(y, type, to, float_at(x, type, from + place * (u32)inner));
  }
}
