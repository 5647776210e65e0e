// Products of few rows with weights in blocks of 4-bit numbers, on tensor cores: few.cl
// says what they compute, and in which tiles. Of a stretch of a row, which is four chunks
// of 32 numbers, each of four lanes reads a chunk. Through local memory they exchange
// quarters, so that all of them multiply the same chunk, whose sum is scaled.
//
// Numbers become bits behind 1024, or behind 128 in bfloat16, where they and their zero point
// are exact: what is multiplied is the difference.

#if A_TYPE == F16
#define BEHIND 0x64006400u
#else
#define BEHIND 0x43004300u
#endif

// TOGETHER is a barrier of the 32 neighbours that exchange quarters. nibbles puts the
// numbers that stand lowest in both halves of a word behind BEHIND, in one instruction:
// compilers make two of (u & 0x000f000f) | BEHIND.
#ifdef STANDIN
#define TOGETHER() ((void)group_shuffle(0, 0))
DEVICE u32 nibbles(u32 u) { return (u & 0x000f000fu) | BEHIND; }
#else
#define TOGETHER() ASM("bar.warp.sync 0xffffffff;" : : : "memory")
DEVICE u32 nibbles(u32 u) {
  u32 r;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(u), "r"(0x000f000fu), "r"(BEHIND));
  return r;
}
#endif

// Lines are the two rows of W of which a lane reads, and whose they are.
typedef struct {
  GLOBAL const u8* w[2];
  GLOBAL const u16* scales[2];
  GLOBAL const u8* zeros[2];
  u32 row[2];
} Lines;

// Piece is what a lane has read of a stretch of both rows: its chunk, and the scales and
// zero points of all four, of which the latter come twice in a word.
typedef struct {
  u32 w[2][4], scales[2][2], zeros[2];
} Piece;

// read brings a lane's part of stretch s. Behind the end of a row it reads the end again,
// which meets numbers of A that are 0.
DEVICE void read(Piece* p, const Lines* x, u32 s, u32 t, const Grid* q) {
  u32 at = s * 64u + t * 16u, end = (u32)q->row - 16u, last = (u32)q->blocks - 1u;
  if (at > end) at = end;
  UNROLL for (u32 i = 0; i < 2; i++) {
    uint4 v = *(GLOBAL const uint4*)(x->w[i] + (x->row[i] * (u32)q->row + at));
    p->w[i][0] = v.x;
    p->w[i][1] = v.y;
    p->w[i][2] = v.z;
    p->w[i][3] = v.w;
  }
  p->zeros[0] = p->zeros[1] = (u32)q->zero * 0x1111u;
  if (q->even) {
    UNROLL for (u32 i = 0; i < 2; i++) {
      u64 v = *(GLOBAL const u64*)(x->scales[i] + (x->row[i] * (u32)q->blocks + s * 4u));
      p->scales[i][0] = (u32)v;
      p->scales[i][1] = (u32)(v >> 32);
    }
    if (q->zeros_row) {
      UNROLL for (u32 i = 0; i < 2; i++) p->zeros[i] = *(GLOBAL const u16*)(x->zeros[i] + (x->row[i] * (u32)q->zeros_row + s * 2u));
    }
    return;
  }
  u32 b[4];
  UNROLL for (u32 j = 0; j < 4; j++) {
    b[j] = (s * 4u + j) >> q->shift;
    if (b[j] > last) b[j] = last;
  }
  UNROLL for (u32 i = 0; i < 2; i++) {
    GLOBAL const u16* scales = x->scales[i] + x->row[i] * (u32)q->blocks;
    p->scales[i][0] = scales[b[0]] | (u32)scales[b[1]] << 16;
    p->scales[i][1] = scales[b[2]] | (u32)scales[b[3]] << 16;
    if (q->zeros_row) {
      GLOBAL const u8* zeros = x->zeros[i] + x->row[i] * (u32)q->zeros_row;
      p->zeros[i] = 0u;
      UNROLL for (u32 j = 0; j < 4; j++) p->zeros[i] |= (zeros[b[j] / 2u] >> (b[j] % 2u * 4u) & 15u) << (4u * j);
    }
  }
}

// LESS makes of one number in each half of a word, 4·i bits up, what is multiplied.
#define LESS(u, i, zero) SUB2(nibbles((u) >> (4u * (i))), zero)

// order puts eight numbers of A in the order in which a word has them: 0, 4, 1, 5, 2, 6, 3, 7.
DEVICE void order(u32* x) {
  u32 a = x[0], b = x[1], c = x[2], d = x[3];
  x[0] = (a & 0xffffu) | c << 16;
  x[1] = a >> 16 | (c & 0xffff0000u);
  x[2] = (b & 0xffffu) | d << 16;
  x[3] = b >> 16 | (d & 0xffff0000u);
}

DEVICE float scale_of(u32 u, int type) { return A_TYPE == F16 || type == F16 ? f16_f32((u16)u) : BF16_F32(u); }

// stage writes the rows of A as normalise does, but as they are.
DEVICE void stage(GLOBAL const u16* a, u32 m, u32 k, u32 pitch, LOCAL u16* rows) {
  for (u32 r = 0; r < m; r++) {
    for (u32 i = (u32)LID(); i < pitch / 8u; i += (u32)LSIZE()) {
      u32 x[4];
      fetch(a, r, m, i * 8u, k, x);
      order(x);
      store(rows + r * (pitch + APART) + i * 8u, x);
    }
  }
  BARRIER();
}

// TILES is how many times eight rows of A there are, KEPT how many of A's numbers are kept
// in local memory, where they are normalised if there is a gain (0: they are not), SIZE the
// work-items of a group, HELD how many groups a processor holds, AHEAD how many stretches
// are under way. Nothing is added to an address under a condition: where registers are spilled,
// ptxas (12.4, and that of driver 580) loses such a sum.
#define FEW4(NAME, TILES, KEPT, SIZE, HELD, AHEAD) \
KERNEL ITEMS(SIZE, HELD) void NAME(FEW_PARAMETERS) { \
  LOCALS16(u32, quarters, SIZE * 8); \
  LOCALS16(u16, rows, KEPT ? KEPT + 8 * APART + STRETCH : 8); \
  LOCAL float* part = (LOCAL float*)quarters; /* before and after */ \
  FEW_PLACE(SIZE) \
  Lines lines; \
  lines.w[0] = OF(w, one); lines.w[1] = OF(w, other); \
  lines.scales[0] = OF(scales, one); lines.scales[1] = OF(scales, other); \
  lines.zeros[0] = OF(zeros, one); lines.zeros[1] = OF(zeros, other); \
  lines.row[0] = upper; lines.row[1] = lower; \
  Piece piece[AHEAD]; \
  UNROLL for (u32 d = 0; d < AHEAD; d++) { \
    if (first + d * share < stretches) read(&piece[d], &lines, first + d * share, t, &q); \
  } \
  u32 pitch = stretches * STRETCH, step = STRETCH; \
  LOCAL const u16* kept = rows + g * (pitch + APART) + t * 8u; \
  if (KEPT && g >= m) { \
    kept = rows + KEPT + 8 * APART; \
    step = 0u; \
  } \
  if (KEPT) { \
    if (LID() < STRETCH / 2) ((LOCAL u32*)(rows + KEPT + 8 * APART))[LID()] = 0u; \
    if (gain) normalise(a, gain, f.gain, m, k, pitch, f.epsilon, part, rows); \
    else stage(a, m, k, pitch, rows); \
  } \
  LOCAL u32* put = quarters + warp * 256u + g * 16u + (t ^ g / 2u % 4u) * 4u; \
  LOCAL const u32* get = quarters + warp * 256u + lane % 8u * 16u + (lane / 8u ^ lane % 8u / 2u) * 4u; \
  float sum[TILES][4]; \
  UNROLL for (u32 i = 0; i < TILES; i++) UNROLL for (u32 e = 0; e < 4; e++) sum[i][e] = 0.0f; \
  for (u32 s0 = first; s0 < stretches; s0 += AHEAD * share) { \
    UNROLL for (u32 d = 0; d < AHEAD; d++) { \
      u32 s = s0 + d * share, w[2][4], z[2]; \
      if (s >= stretches) break; \
      TOGETHER(); /* what was there has been read */ \
      store((LOCAL u16*)put, piece[d].w[0]); \
      store((LOCAL u16*)(put + 128), piece[d].w[1]); \
      TOGETHER(); \
      LDMATRIX(w[0], get); \
      LDMATRIX(w[1], get + 128); \
      UNROLL for (u32 i = 0; i < 2; i++) z[i] = piece[d].zeros[i] * 0x00010001u; \
      UNROLL for (u32 j = 0; j < 4; j++) { \
        u32 lo[4], hi[4], z0 = nibbles(z[0] >> (4u * j)), z1 = nibbles(z[1] >> (4u * j)); \
        lo[0] = LESS(w[0][j], 0, z0); lo[1] = LESS(w[1][j], 0, z1); lo[2] = LESS(w[0][j], 1, z0); lo[3] = LESS(w[1][j], 1, z1); \
        hi[0] = LESS(w[0][j], 2, z0); hi[1] = LESS(w[1][j], 2, z1); hi[2] = LESS(w[0][j], 3, z0); hi[3] = LESS(w[1][j], 3, z1); \
        float by0 = scale_of(piece[d].scales[0][j / 2u] >> (j % 2u * 16u) & 0xffffu, q.scale_type); \
        float by1 = scale_of(piece[d].scales[1][j / 2u] >> (j % 2u * 16u) & 0xffffu, q.scale_type); \
        UNROLL for (u32 i = 0; i < TILES; i++) { \
          u32 x[4]; \
          if (KEPT) { \
            fetch_local(kept + s * step + j * 32u, 1, 0u, 1u, x); \
          } else { \
            fetch(a, i * 8u + g, m, s * STRETCH + j * 32u + t * 8u, k, x); \
            order(x); \
          } \
          float c[4]; \
          c[0] = c[1] = c[2] = c[3] = 0.0f; \
          MMA(c, lo, x); \
          MMA(c, hi, x + 2); \
          sum[i][0] = fma(c[0], by0, sum[i][0]); \
          sum[i][1] = fma(c[1], by0, sum[i][1]); \
          sum[i][2] = fma(c[2], by1, sum[i][2]); \
          sum[i][3] = fma(c[3], by1, sum[i][3]); \
        } \
      } \
      u32 next = s + AHEAD * share; \
      if (next < stretches) read(&piece[d], &lines, next, t, &q); \
    } \
  } \
  BARRIER(); \
  UNROLL for (u32 i = 0; i < TILES; i++) UNROLL for (u32 e = 0; e < 4; e++) \
    part[((warp * TILES + i) * 8u + t * 2u + e % 2u) * 16u + g + e / 2u * 8u] = sum[i][e]; \
  FEW_END(SIZE, 8u * TILES) \
}

FEW4(near8, 1, ROOM, 256, 3, 1)
FEW4(far8, 1, 0, 256, 2, 2)
FEW4(far16, 2, 0, 256, 1, 2)
FEW4(wide8, 1, ROOM * 3 / 4, 512, 1, 4)
FEW4(wide_far8, 1, 0, 512, 1, 2)
FEW4(wide_far16, 2, 0, 512, 1, 2)
