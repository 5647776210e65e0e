// Work-items as fibers of one thread: each runs until it waits for its group, then
// the next one. A barrier that is missing therefore gives wrong results always, not
// seldom, and one that not all items reach is found.
#define _GNU_SOURCE
#include "group.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { STACK = 128 << 10, MOST = 1024, WARP = 32, ASYNC = 64 };
enum state { READY, AT_BARRIER, AT_WARP, DONE };

struct copy {
  void *to;
  const void *from;
  int bytes, have, batch;
};

struct fiber {
  void *stack; // where it goes on
  enum state state;
  struct copy copies[ASYNC];
  int ncopies, batch;
};

struct warp {
  uint32_t word[WARP];
  uint32_t a[WARP][4], b[WARP][2];
  const void *row[WARP];
};

__thread struct place group_place;

static __thread struct {
  struct fiber *fibers;
  char *stacks;
  struct warp warps[2][MOST / WARP]; // by turns, so that one wait an exchange is enough
  int turn[MOST];
  void *back; // the stack of who runs the group
  kernel kernel;
  void **args;
  char *shared;
  size_t room;
  const char *fault;
} self;

// switch_stack keeps the registers that functions keep, and goes on where the other
// stack was left.
void switch_stack(void **from, void *to);
#if defined(__x86_64__)
enum { KEPT = 6 }; // registers, the return address behind them
__asm__(".text\nswitch_stack:\n"
        "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");
#elif defined(__aarch64__)
enum { KEPT = 11 };
__asm__(".text\nswitch_stack:\n"
        "sub sp, sp, #160\n"
        "stp x19, x20, [sp]\n stp x21, x22, [sp, #16]\n stp x23, x24, [sp, #32]\n stp x25, x26, [sp, #48]\n"
        "stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
        "mov x9, sp\n str x9, [x0]\n mov sp, x1\n"
        "ldp x19, x20, [sp]\n ldp x21, x22, [sp, #16]\n ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n"
        "ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n"
        "ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
        "add sp, sp, #160\n ret\n");
#else
#error "no way to switch stacks on this processor"
#endif

// What a fiber starts with.
static void body(void) {
  for (;;) {
    self.kernel(self.args);
    struct fiber *f = &self.fibers[group_place.item];
    if (f->ncopies) self.fault = "copies were not waited for";
    f->state = DONE;
    switch_stack(&f->stack, self.back);
  }
}

static void pause_item(enum state s) {
  struct fiber *f = &self.fibers[group_place.item];
  f->state = s;
  switch_stack(&f->stack, self.back);
}

static void resume_item(int i) {
  group_place.item = i;
  struct fiber *f = &self.fibers[i];
  if (!f->stack) { // as switch_stack would leave it before the first instruction of body
    void **top = (void **)(self.stacks + (size_t)(i + 1) * STACK) - 20;
    memset(top, 0, 20 * sizeof *top);
    top[KEPT] = (void *)body;
    f->stack = top;
  }
  switch_stack(&self.back, f->stack);
}

void group_barrier(void) { pause_item(AT_BARRIER); }

static struct warp *my_warp(void) { return &self.warps[self.turn[group_place.item]][group_place.item / WARP]; }

// exchange waits for the warp and takes the other set of slots for the next time.
static struct warp *exchange(struct warp *w) {
  self.turn[group_place.item] ^= 1;
  pause_item(AT_WARP);
  return w;
}

uint32_t group_shuffle(uint32_t value, uint32_t mask) {
  struct warp *w = my_warp();
  w->word[group_place.item % WARP] = value;
  return exchange(w)->word[(group_place.item % WARP) ^ mask];
}

static float widen(uint32_t word, int high, int bf) {
  uint16_t u = high ? word >> 16 : word & 0xffff;
  return bf ? group_f32((uint32_t)u << 16) : group_f16(u);
}

void group_mma(int bf, float c[4], const uint32_t a[4], const uint32_t b[2]) {
  struct warp *w = my_warp();
  int lane = group_place.item % WARP;
  memcpy(w->a[lane], a, sizeof w->a[lane]);
  memcpy(w->b[lane], b, sizeof w->b[lane]);
  exchange(w);
  for (int i = 0; i < 4; i++) {
    int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    float sum = 0;
    for (int k = 0; k < 16; k++) {
      uint32_t x = w->a[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], y = w->b[column * 4 + k % 8 / 2][k / 8];
      sum += widen(x, k & 1, bf) * widen(y, k & 1, bf);
    }
    c[i] += sum;
  }
}

void group_ldmatrix(uint32_t out[4], const void *row, int transposed) {
  struct warp *w = my_warp();
  int lane = group_place.item % WARP;
  w->row[lane] = row;
  exchange(w);
  for (int m = 0; m < 4; m++) {
    uint16_t pair[2];
    for (int h = 0; h < 2; h++) {
      int r = lane / 4, column = lane % 4 * 2 + h;
      const uint16_t *from = w->row[m * 8 + (transposed ? column : r)];
      pair[h] = from[transposed ? r : column];
    }
    memcpy(&out[m], pair, 4);
  }
}

void group_copy_async(void *to, const void *from, int bytes, int have) {
  struct fiber *f = &self.fibers[group_place.item];
  if (f->ncopies == ASYNC) {
    self.fault = "more copies are under way than the stand-in follows";
    return;
  }
  f->copies[f->ncopies++] = (struct copy){to, from, bytes, have, f->batch};
}

void group_copy_commit(void) { self.fibers[group_place.item].batch++; }

void group_copy_wait(int pending) {
  struct fiber *f = &self.fibers[group_place.item];
  int kept = 0;
  for (int i = 0; i < f->ncopies; i++) {
    struct copy c = f->copies[i];
    if (c.batch < f->batch - pending) {
      memset(c.to, 0, c.bytes);
      memcpy(c.to, c.from, c.have);
    } else {
      f->copies[kept++] = c;
    }
  }
  f->ncopies = kept;
}

void *group_shared(void) { return self.shared; }

// release lets waiting items go on that all their company has come to; it returns
// how many items can run.
static int release(int items) {
  int at_barrier = 0, done = 0, ready = 0;
  for (int i = 0; i < items; i++) {
    at_barrier += self.fibers[i].state == AT_BARRIER;
    done += self.fibers[i].state == DONE;
  }
  if (at_barrier == items) {
    for (int i = 0; i < items; i++) self.fibers[i].state = READY;
    return items;
  }
  for (int w = 0; w < items; w += WARP) {
    int end = w + WARP < items ? w + WARP : items, here = 0;
    for (int i = w; i < end; i++) here += self.fibers[i].state == AT_WARP;
    if (here == end - w && here == WARP) {
      for (int i = w; i < end; i++) self.fibers[i].state = READY;
      ready += here;
    }
  }
  return done == items ? -1 : ready;
}

static const char *run_group(int items, int backwards) {
  for (int i = 0; i < items; i++) {
    self.fibers[i].state = READY;
    self.fibers[i].ncopies = self.fibers[i].batch = 0;
  }
  memset(self.turn, 0, sizeof self.turn);
  if (self.room) memset(self.shared, 0xcb, self.room);
  for (;;) {
    for (int n = 0; n < items; n++) {
      int i = backwards ? items - 1 - n : n;
      if (self.fibers[i].state == READY) resume_item(i);
    }
    int ready = release(items);
    if (self.fault) return self.fault;
    if (ready < 0) return NULL;
    if (ready == 0) return "items of a group wait at different places";
  }
}

const char *group_run(kernel k, void **args, const unsigned groups[3], unsigned items, size_t shared) {
  if (!self.fibers) {
    self.fibers = calloc(MOST, sizeof *self.fibers);
    self.stacks = mmap(NULL, (size_t)MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!self.fibers || self.stacks == MAP_FAILED) abort();
  }
  if (items == 0 || items > MOST) return "a group has 1 to 1024 items";
  if (shared > self.room) {
    free(self.shared);
    if (posix_memalign((void **)&self.shared, 128, shared)) abort();
  }
  self.room = shared;
  self.kernel = k;
  self.args = args;
  self.fault = NULL;
  group_place.items = items;
  memcpy(group_place.groups, groups, sizeof group_place.groups);
  const char *fault = NULL;
  for (unsigned z = 0; z < groups[2]; z++)
    for (unsigned y = 0; y < groups[1]; y++)
      for (unsigned x = 0; x < groups[0] && !fault; x++) {
        group_place.group[0] = x, group_place.group[1] = y, group_place.group[2] = z;
        fault = run_group(items, (x + y + z) & 1);
      }
  if (fault) // what waits in a fiber is lost: start them anew
    for (int i = 0; i < MOST; i++) self.fibers[i].stack = NULL;
  return fault;
}
