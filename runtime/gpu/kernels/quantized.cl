// Numbers of 4 or 8 bits with a scale and a zero point a block.

// packed returns number i of an array of so many bits, low bits first.
DEVICE int packed(GLOBAL const u8* p, u32 i, int bits) {
  if (bits == 8) return p[i];
  return p[i >> 1] >> ((i & 1u) * 4u) & 15;
}

// Table is one of rows of width numbers, with a scale for each block.
typedef struct {
  i32 rows, width, blocks, block, bits, sign;
  i32 zero;   // where there are no zero points
  i32 zeros;  // numbers in a row of zero points
} Table;

// gather_blocks is y[k] = (table[at[k]] - zero)·scale. An index out of range gives
// zeros.
KERNEL void gather_blocks(GLOBAL const u8* table, GLOBAL const void* at, int type, GLOBAL const void* scales, int ts, GLOBAL const u8* zeros, GLOBAL void* y, int n, Table t) {
  EACH(i, (u32)n) {
    u32 e = i % (u32)t.width;
    i64 row = int_at(at, type, i / (u32)t.width);
    if (row < 0) row += t.rows;
    float v = 0.0f;
    if (row >= 0 && row < t.rows) {
      u32 b = e / (u32)t.block;
      int q = packed(table, (u32)row * (u32)t.width + e, t.bits), z = t.zero;
      if (zeros) z = packed(zeros, (u32)row * (u32)t.zeros + b, t.bits);
      if (t.sign) {
        q = (q ^ t.sign) - t.sign;
        if (zeros) z = (z ^ t.sign) - t.sign;
      }
      v = (float)(q - z) * float_at(scales, ts, (u32)row * (u32)t.blocks + b);
    }
    float_to(y, ts, i, v);
  }
}

// dequantize is y = (x - zero)·scale for x [outer, dim, inner]. Each stretch of so many
// along dim has width scales, one for all of inner or one for each; outer axes go on by
// step scales.
KERNEL void dequantize(GLOBAL const u8* x, GLOBAL const void* scales, int ts, GLOBAL const u8* zeros, GLOBAL void* y, int ty, int n, int dim, int inner, int each, int step, int width, int bits, int sign) {
  EACH(i, (u32)n) {
    u32 in = i % (u32)inner, k = i / (u32)inner;
    u32 s = k / (u32)dim * (u32)step + k % (u32)dim / (u32)each * (u32)width + (width > 1 ? in : 0u);
    int q = packed(x, i, bits), z = zeros ? packed(zeros, s, bits) : 0;
    if (sign) {
      q = (q ^ sign) - sign;
      if (zeros) z = (z ^ sign) - sign;
    }
    float_to(y, ty, i, (float)(q - z) * float_at(scales, ts, s));
  }
}
