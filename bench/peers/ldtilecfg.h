/* gcc 12 takes LDTILECFG to read 8 bytes of the 64 that it does read, and leaves out the
   stores of the others, whereupon llama.cpp's kernels for AMX fault. Here it reads all. */
#ifdef __AMX_TILE__
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(const char (*)[64])(config)))
#endif
