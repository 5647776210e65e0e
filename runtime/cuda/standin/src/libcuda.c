// A stand-in for libcuda.so.1 on host memory, stricter than the real one: contexts
// belong to threads, queues run behind the caller's back, device addresses mean
// nothing to the host, asynchronous copies take pinned memory only, kernels take
// addresses of live memory only. Kernels are the project's own source, compiled for
// the host.
//
// Settings come from standin_reset or, in another process, from the environment variable
// STANDIN: "devices=0 memory=BYTES version=12040 hang=N peers=1 import=wrong
// fault=CALL:N:STATUS", where kernel number N never ends, devices reach each other's memory,
// imported memory is not what was exported, and call number N fails, with N+ the later
// ones as well.
#define _GNU_SOURCE
#include "entries.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef int result;
enum {
  OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
  INVALID_PTX = 218, UNSUPPORTED_PTX = 222, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
  LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

// ---- faults and books

enum { MOST_DEVICES = 2 };

static struct {
  int initialised, retained[MOST_DEVICES];
  result lost;
  char told[256]; // of the last fault in a kernel
  long long live, high, total;
  int allocations, graph_launches, kernel_launches, products;
} books;

static __thread int current; // the context of this thread: device + 1, 0: none
static char contexts[MOST_DEVICES];

static struct { char call[64]; int number, stays, status; } fault;
static struct { char call[64]; int number; } counts[128];

static struct { int devices; long long memory; int version, hang, peers, wrong; } settings = {1, 8ll << 30, 12040, 0, 0, 0};

static void set(const char *text) {
  char from[16] = "";
  const char *at;
  settings.devices = 1;
  settings.memory = 8ll << 30;
  settings.version = 12040;
  settings.hang = settings.peers = settings.wrong = 0;
  memset(&fault, 0, sizeof fault);
  memset(counts, 0, sizeof counts);
  if (!text) return;
  if ((at = strstr(text, "devices="))) settings.devices = atoi(at + 8);
  if ((at = strstr(text, "memory="))) settings.memory = atoll(at + 7);
  if ((at = strstr(text, "version="))) settings.version = atoi(at + 8);
  settings.peers = strstr(text, "peers=1") != NULL;
  settings.wrong = strstr(text, "import=wrong") != NULL;
  if ((at = strstr(text, "hang="))) settings.hang = atoi(at + 5);
  if (!(at = strstr(text, "fault="))) return;
  if (sscanf(at, "fault=%63[^:]:%15[^:]:%d", fault.call, from, &fault.status) != 3) abort();
  fault.number = atoi(from);
  fault.stays = strchr(from, '+') != NULL;
}

// standin_reset gives a process another device: that nothing was asked of, with these
// settings.
void standin_reset(const char *text) {
  pthread_mutex_lock(&lock);
  memset(&books, 0, sizeof books);
  set(text);
  books.initialised = -1; // until cuInit, and not from the environment
  pthread_mutex_unlock(&lock);
}

// standin_calls returns how often a call was made since the last fault was set, "" for
// all of them together.
int standin_calls(const char *call) {
  int n = 0;
  for (int i = 0; i < 128 && counts[i].call[0]; i++)
    if (!*call || !strcmp(counts[i].call, call)) n += counts[i].number;
  return n;
}

// standin_books tells what a device holds and what it was asked to do.
void standin_books(long long out[5]) {
  pthread_mutex_lock(&lock);
  out[0] = books.live, out[1] = books.allocations, out[2] = books.kernel_launches, out[3] = books.graph_launches, out[4] = books.products;
  pthread_mutex_unlock(&lock);
}

static result count(const char *versioned) {
  char call[64];
  snprintf(call, sizeof call, "%s", versioned);
  size_t n0 = strlen(call);
  if (n0 > 3 && !strcmp(call + n0 - 3, "_v2")) call[n0 - 3] = 0;
  int i = 0;
  while (i < 127 && counts[i].call[0] && strcmp(counts[i].call, call)) i++;
  if (!counts[i].call[0]) snprintf(counts[i].call, sizeof counts[i].call, "%s", call);
  counts[i].number++;
  int n = strcmp(fault.call, "any") ? counts[i].number : standin_calls("");
  if ((strcmp(fault.call, call) && strcmp(fault.call, "any")) || (n != fault.number && !(fault.stays && n > fault.number))) return OK;
  if ((fault.status >= 700 && fault.status < 800) || fault.status == 214 || fault.status == 46) books.lost = fault.status;
  return fault.status;
}

// A call begins by one of these, which take the lock. RETURN gives it back.
#define BEGIN                                                     \
  pthread_mutex_lock(&lock);                                      \
  do {                                                            \
    result counted = count(__func__);                             \
    if (counted) RETURN(counted);                                 \
    if (books.initialised != 1) RETURN(NOT_INITIALIZED);              \
  } while (0)
#define RETURN(r)                 \
  do {                            \
    result with = (r);            \
    pthread_mutex_unlock(&lock);  \
    return with;                  \
  } while (0)
#define IN_CONTEXT                           \
  BEGIN;                                     \
  if (!current || !books.retained[current - 1]) RETURN(INVALID_CONTEXT); \
  if (books.lost) RETURN(books.lost)

// ---- memory

enum { GUARD = 4096, UNIT = 256, PAGE = 2 << 20 };
static const size_t REACH = 1ull << 40;
static char *region, *shadow; // what the device calls its memory, and where that is

struct block {
  char *at;   // device address
  char *real; // in the shadow, or host memory
  size_t size;
  int kind, busy, device;
  struct block *next;
};
enum { DEVICE, PINNED, MAPPED };
static struct block *blocks;
static size_t taken;

static struct block *find(const void *at, size_t size, int host) {
  for (struct block *b = blocks; b; b = b->next) {
    int is_host = b->kind == PINNED;
    if (is_host == host && (char *)at >= b->at && (char *)at + size <= b->at + b->size) return b;
  }
  return NULL;
}

static void *real_of(const void *at, size_t size, struct block **of) {
  struct block *b = find(at, size, 0);
  if (of) *of = b;
  return b ? b->real + ((char *)at - b->at) : NULL;
}

static struct block *add(char *at, char *real, size_t size, int kind) {
  struct block *b = calloc(1, sizeof *b);
  *b = (struct block){at, real, size, kind, 0, current - 1, blocks};
  return blocks = b;
}

static result removed(const void *at, int kind) {
  for (struct block **p = &blocks; *p; p = &(*p)->next) {
    struct block *b = *p;
    if (b->at != at || b->kind != kind) continue;
    if (b->busy) return ILLEGAL_ADDRESS; // released while work under way uses it
    *p = b->next;
    free(b);
    return OK;
  }
  return INVALID_VALUE;
}

// reserve returns addresses of the region, never the same twice.
static char *reserve(size_t size) {
  if (taken + size + GUARD > REACH) return NULL;
  char *at = region + taken + GUARD;
  taken += (size + 2 * GUARD - 1) / GUARD * GUARD;
  return at;
}

static void poison(void *at, size_t size) { memset(at, 0xcb, size < (64 << 20) ? size : (64 << 20)); }

result cuMemAlloc_v2(void **out, size_t size) {
  IN_CONTEXT;
  if (!out || size == 0) RETURN(INVALID_VALUE);
  size_t whole = (size + UNIT - 1) / UNIT * UNIT, pages = (whole + GUARD - 1) / GUARD * GUARD;
  char *at;
  if (books.live + (long long)whole > settings.memory || !(at = reserve(pages))) RETURN(OUT_OF_MEMORY);
  char *real = shadow + (at - region);
  if (mprotect(real, pages, PROT_READ | PROT_WRITE)) RETURN(OUT_OF_MEMORY);
  size_t skip = pages - whole; // the end stands before a page that faults
  poison(real, pages);
  add(at + skip, real + skip, whole, DEVICE);
  books.live += whole;
  books.high = books.live > books.high ? books.live : books.high;
  books.allocations++;
  *out = at + skip;
  RETURN(OK);
}

result cuMemFree_v2(void *at) {
  IN_CONTEXT;
  struct block *b = find(at, 1, 0);
  if (!b || b->at != at || b->kind != DEVICE) RETURN(INVALID_VALUE);
  size_t size = b->size, pages = (size + GUARD - 1) / GUARD * GUARD;
  char *real = b->real - (pages - size);
  result r = removed(at, DEVICE);
  if (r) RETURN(r);
  madvise(real, pages, MADV_DONTNEED);
  mprotect(real, pages, PROT_NONE);
  books.live -= size;
  books.allocations--;
  RETURN(OK);
}

result cuMemHostAlloc(void **out, size_t size, unsigned flags) {
  IN_CONTEXT;
  if (!out || size == 0 || flags & ~7u) RETURN(INVALID_VALUE);
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) RETURN(OUT_OF_MEMORY);
  poison(at, size);
  add(at, at, size, PINNED);
  books.allocations++;
  *out = at;
  RETURN(OK);
}

result cuMemFreeHost(void *at) {
  IN_CONTEXT;
  struct block *b = find(at, 1, 1);
  size_t size = b ? b->size : 0;
  result r = removed(at, PINNED);
  if (r) RETURN(r);
  munmap(at, size);
  books.allocations--;
  RETURN(OK);
}

result cuMemGetInfo_v2(size_t *available, size_t *total) {
  IN_CONTEXT;
  *total = settings.memory;
  *available = settings.memory - books.live;
  RETURN(OK);
}

// Memory that can be exported lies in a file of its own.

struct property { int kind, handles, place, device; void *win32; unsigned char flags[8]; };
struct allowed { int place, device, flags; };
struct handle { int fd, device, imported; size_t size; ino_t file; struct handle *next; };
static struct handle *handles;

static int exists(int d) { return d >= 0 && d < settings.devices && d < MOST_DEVICES; }

static int fits(const struct property *p) { return p && p->kind == 1 && p->handles == 1 && p->place == 1 && exists(p->device) && !p->win32; }

result cuMemGetAllocationGranularity(size_t *out, const struct property *p, int option) {
  BEGIN;
  if (!out || !fits(p) || option & ~1) RETURN(INVALID_VALUE);
  *out = PAGE;
  RETURN(OK);
}

// keep lists a handle by its file.
static void keep(struct handle *h) {
  struct stat s;
  h->file = fstat(h->fd, &s) ? 0 : s.st_ino;
  h->next = handles;
  handles = h;
}

result cuMemCreate(struct handle **out, size_t size, const struct property *p, unsigned long long flags) {
  IN_CONTEXT;
  if (!out || !fits(p) || flags || size == 0 || size % PAGE) RETURN(INVALID_VALUE);
  if (books.live + (long long)size > settings.memory) RETURN(OUT_OF_MEMORY);
  struct handle *h = calloc(1, sizeof *h);
  h->size = size;
  h->device = p->device;
  h->fd = memfd_create("standin", 0);
  if (h->fd < 0 || ftruncate(h->fd, size)) RETURN(OUT_OF_MEMORY);
  keep(h);
  books.live += size;
  books.allocations++;
  *out = h;
  RETURN(OK);
}

result cuMemRelease(struct handle *h) {
  BEGIN;
  for (struct handle **p = &handles; *p; p = &(*p)->next)
    if (*p == h) {
      *p = h->next;
      break;
    }
  if (!h->imported) books.live -= h->size;
  books.allocations--;
  close(h->fd);
  free(h);
  RETURN(OK);
}

result cuMemAddressReserve(void **out, size_t size, size_t align, void *wish, unsigned long long flags) {
  IN_CONTEXT;
  if (!out || size % PAGE || align || wish || flags) RETURN(INVALID_VALUE);
  *out = reserve(size);
  RETURN(*out ? OK : OUT_OF_MEMORY);
}

result cuMemAddressFree(void *at, size_t size) {
  BEGIN;
  RETURN(find(at, 1, 0) || !size ? INVALID_VALUE : OK);
}

result cuMemMap(void *at, size_t size, size_t offset, struct handle *h, unsigned long long flags) {
  IN_CONTEXT;
  if (size != h->size || offset || flags || find(at, 1, 0)) RETURN(INVALID_VALUE);
  char *real = shadow + ((char *)at - region);
  if (mmap(real, size, PROT_NONE, MAP_SHARED | MAP_FIXED, h->fd, 0) != real) RETURN(OUT_OF_MEMORY);
  add(at, real, size, MAPPED)->device = -1 - h->device; // until it has access
  RETURN(OK);
}

result cuMemUnmap(void *at, size_t size) {
  IN_CONTEXT;
  struct block *b = find(at, size, 0);
  if (!b || b->size != size) RETURN(INVALID_VALUE);
  char *real = b->real;
  result r = removed(at, MAPPED);
  if (r) RETURN(r);
  mmap(real, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  RETURN(OK);
}

result cuMemSetAccess(void *at, size_t size, const struct allowed *a, size_t n) {
  IN_CONTEXT;
  struct block *b = find(at, size, 0);
  if (!b || n != 1 || a->place != 1 || !exists(a->device) || a->flags != 3) RETURN(INVALID_VALUE);
  if (b->device != -1 - a->device && !settings.peers) RETURN(INVALID_VALUE);
  b->device = a->device;
  mprotect(b->real, size, PROT_READ | PROT_WRITE);
  RETURN(OK);
}

result cuMemExportToShareableHandle(void *out, struct handle *h, int kind, unsigned long long flags) {
  IN_CONTEXT;
  if (!out || kind != 1 || flags) RETURN(INVALID_VALUE);
  *(int *)out = dup(h->fd);
  RETURN(OK);
}

result cuMemImportFromShareableHandle(struct handle **out, void *fd, int kind) {
  IN_CONTEXT;
  struct stat s;
  struct handle *of = handles;
  if (!out || kind != 1 || fstat((int)(long)fd, &s)) RETURN(INVALID_VALUE);
  while (of && of->file != s.st_ino) of = of->next;
  if (!of) RETURN(INVALID_VALUE);
  struct handle *h = calloc(1, sizeof *h);
  h->fd = settings.wrong ? memfd_create("wrong", 0) : dup((int)(long)fd);
  h->size = of->size;
  h->device = of->device;
  h->imported = 1;
  if (h->fd < 0 || (settings.wrong && ftruncate(h->fd, h->size))) RETURN(OUT_OF_MEMORY);
  keep(h);
  books.allocations++;
  *out = h;
  RETURN(OK);
}

// ---- library, devices, contexts

result cuInit(unsigned flags) {
  pthread_mutex_lock(&lock);
  if (!books.initialised) set(getenv("STANDIN"));
  result r = count(__func__);
  if (r) RETURN(r);
  if (flags) RETURN(INVALID_VALUE);
  if (!settings.devices) RETURN(NO_DEVICE);
  if (!region) {
    region = mmap(NULL, REACH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    shadow = mmap(NULL, REACH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED || shadow == MAP_FAILED) RETURN(OUT_OF_MEMORY);
  }
  books.initialised = 1;
  RETURN(OK);
}

result cuDriverGetVersion(int *v) {
  BEGIN;
  *v = settings.version;
  RETURN(OK);
}

result cuGetErrorName(result r, const char **out) {
  static const struct { result r; const char *name; } names[] = {
    {OK, "CUDA_SUCCESS"}, {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"}, {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"}, {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"}, {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"}, {INVALID_PTX, "CUDA_ERROR_INVALID_PTX"},
    {UNSUPPORTED_PTX, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}, {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}, {NOT_READY, "CUDA_ERROR_NOT_READY"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"}, {214, "CUDA_ERROR_ECC_UNCORRECTABLE"}, {304, "CUDA_ERROR_OPERATING_SYSTEM"}, {702, "CUDA_ERROR_LAUNCH_TIMEOUT"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].r == r) return *out = names[i].name, OK;
  *out = NULL;
  return INVALID_VALUE;
}

result cuDeviceGetCount(int *n) {
  BEGIN;
  *n = settings.devices;
  RETURN(OK);
}

result cuDeviceGet(int *d, int ordinal) {
  BEGIN;
  *d = ordinal;
  RETURN(exists(ordinal) ? OK : INVALID_DEVICE);
}

result cuDeviceGetName(char *out, int size, int d) {
  BEGIN;
  snprintf(out, size, "stand-in for a GPU in host memory");
  RETURN(exists(d) ? OK : INVALID_DEVICE);
}

result cuDeviceGetUuid_v2(unsigned char *out, int d) {
  BEGIN;
  for (int i = 0; i < 16; i++) out[i] = 0xa0 + i;
  out[15] += d;
  RETURN(exists(d) ? OK : INVALID_DEVICE);
}

result cuDeviceGetUuid(unsigned char *out, int d) { return cuDeviceGetUuid_v2(out, d); }

result cuDeviceTotalMem_v2(size_t *out, int d) {
  BEGIN;
  *out = settings.memory;
  RETURN(exists(d) ? OK : INVALID_DEVICE);
}

result cuDeviceGetAttribute(int *out, int which, int d) {
  BEGIN;
  switch (which) {
  case 16: *out = 4; break;           // processors
  case 75: *out = 8; break;           // compute capability
  case 76: *out = 0; break;
  case 97: *out = 163 << 10; break;   // shared memory of a block
  case 102: case 103: *out = 1; break;
  default: RETURN(INVALID_VALUE);
  }
  RETURN(exists(d) ? OK : INVALID_DEVICE);
}

result cuDeviceCanAccessPeer(int *out, int a, int b) {
  BEGIN;
  if (!exists(a) || !exists(b) || a == b) RETURN(INVALID_DEVICE);
  *out = settings.peers;
  RETURN(OK);
}

result cuDevicePrimaryCtxRetain(void **out, int d) {
  BEGIN;
  if (!exists(d)) RETURN(INVALID_DEVICE);
  if (books.lost) RETURN(books.lost);
  books.retained[d]++;
  *out = &contexts[d];
  RETURN(OK);
}

result cuDevicePrimaryCtxRelease_v2(int d) {
  BEGIN;
  if (!exists(d) || !books.retained[d]) RETURN(INVALID_CONTEXT);
  books.retained[d]--;
  RETURN(OK);
}

result cuCtxSetCurrent(void *c) {
  BEGIN;
  if (books.lost) RETURN(books.lost);
  if (c && ((char *)c < contexts || (char *)c >= contexts + MOST_DEVICES)) RETURN(INVALID_CONTEXT);
  current = c ? (char *)c - contexts + 1 : 0;
  RETURN(OK);
}

// ---- queues

enum op { COPY, FILL, LAUNCH, MARK, AWAIT };

struct event {
  unsigned long long wanted, reached; // recordings
  struct timespec when;
  struct stream *in;
  unsigned long long seq;
};

struct work {
  enum op op;
  void *to, *from; // real addresses
  size_t size;
  int byte;
  const struct entry *entry;
  void *args[MOST_ARGS];
  _Alignas(16) unsigned char values[1024]; // of arguments
  unsigned at[MOST_ARGS];                  // where each lies in values
  unsigned groups[3], items;
  size_t shared;
  struct event *event;
  unsigned long long target, seq;
  struct block *uses[MOST_ARGS];
  int nuses;
  struct work *next;
};

struct graph { struct work *first, **last; int nodes; };

struct stream {
  pthread_t thread;
  struct work *first, **last;
  unsigned long long queued, done, wanted;
  int closing;
  struct graph *capture;
  unsigned random;
  int device;
};

static void perform(struct work *w) {
  if (w->op == LAUNCH && settings.hang && !--settings.hang)
    for (;;) pause();
  switch (w->op) {
  case COPY: memcpy(w->to, w->from, w->size); break;
  case FILL: memset(w->to, w->byte, w->size); break;
  case LAUNCH: {
    const char *wrong = group_run(w->entry->call, w->args, w->groups, w->items, w->shared);
    if (!wrong) break;
    pthread_mutex_lock(&lock);
    snprintf(books.told, sizeof books.told, "%s: %s", w->entry->name, wrong);
    fprintf(stderr, "stand-in: %s\n", books.told);
    books.lost = LAUNCH_FAILED;
    pthread_mutex_unlock(&lock);
    break;
  }
  default: break;
  }
}

static void dawdle(struct stream *s, unsigned long long seq) {
  if (rand_r(&s->random) % 16) return;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 300000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  while (s->wanted < seq && !s->closing)
    if (pthread_cond_timedwait(&changed, &lock, &until)) return;
}

static void *work_off(void *arg) {
  struct stream *s = arg;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (!s->first && !s->closing) pthread_cond_wait(&changed, &lock);
    struct work *w = s->first;
    if (!w) break;
    dawdle(s, w->seq);
    if (w->op == AWAIT) {
      if (w->event->in && w->event->in->wanted < w->event->seq) w->event->in->wanted = w->event->seq;
      pthread_cond_broadcast(&changed);
      while (w->event->reached < w->target) pthread_cond_wait(&changed, &lock);
    } else if (w->op == MARK) {
      w->event->reached = w->target;
      clock_gettime(CLOCK_MONOTONIC, &w->event->when);
    } else if (!books.lost) {
      pthread_mutex_unlock(&lock);
      perform(w);
      pthread_mutex_lock(&lock);
    }
    for (int i = 0; i < w->nuses; i++) w->uses[i]->busy--;
    if (!(s->first = w->next)) s->last = &s->first;
    s->done = w->seq;
    free(w);
    pthread_cond_broadcast(&changed);
  }
  pthread_mutex_unlock(&lock);
  return NULL;
}

// enqueue takes work, or records it where the queue does so.
static result enqueue(struct stream *s, struct work w) {
  for (int i = 0; i < w.nuses; i++) // a device's own memory, and what it was given access to
    if (w.uses[i]->kind != PINNED && w.uses[i]->device != s->device) {
      books.lost = ILLEGAL_ADDRESS;
      return OK;
    }
  struct work *own = malloc(sizeof *own);
  *own = w;
  own->next = NULL;
  if (w.op == LAUNCH)
    for (int i = 0; i < w.entry->args; i++) own->args[i] = own->values + own->at[i];
  if (s->capture) {
    if (w.op == MARK || w.op == AWAIT) return free(own), CAPTURE_UNSUPPORTED;
    *s->capture->last = own;
    s->capture->last = &own->next;
    s->capture->nodes++;
    return OK;
  }
  own->seq = ++s->queued;
  for (int i = 0; i < own->nuses; i++) own->uses[i]->busy++;
  *s->last = own;
  s->last = &own->next;
  pthread_cond_broadcast(&changed);
  return OK;
}

static void drain(struct stream *s, unsigned long long seq) {
  if (s->wanted < seq) s->wanted = seq;
  pthread_cond_broadcast(&changed);
  while (s->done < seq) pthread_cond_wait(&changed, &lock);
}

result cuStreamCreate(struct stream **out, unsigned flags) {
  IN_CONTEXT;
  if (!out || flags != 1) RETURN(INVALID_VALUE);
  struct stream *s = calloc(1, sizeof *s);
  s->last = &s->first;
  s->random = 20251;
  s->device = current - 1;
  if (pthread_create(&s->thread, NULL, work_off, s)) RETURN(OUT_OF_MEMORY);
  books.allocations++;
  *out = s;
  RETURN(OK);
}

result cuStreamDestroy_v2(struct stream *s) {
  IN_CONTEXT;
  s->closing = 1;
  pthread_cond_broadcast(&changed);
  books.allocations--;
  pthread_mutex_unlock(&lock);
  pthread_join(s->thread, NULL);
  free(s);
  return OK;
}

result cuStreamSynchronize(struct stream *s) {
  IN_CONTEXT;
  if (s->capture) RETURN(CAPTURE_UNSUPPORTED);
  drain(s, s->queued);
  RETURN(books.lost);
}

result cuStreamWaitEvent(struct stream *s, struct event *e, unsigned flags) {
  IN_CONTEXT;
  if (flags) RETURN(INVALID_VALUE);
  if (e->reached == e->wanted) RETURN(OK);
  RETURN(enqueue(s, (struct work){.op = AWAIT, .event = e, .target = e->wanted}));
}

result cuEventCreate(struct event **out, unsigned flags) {
  IN_CONTEXT;
  if (!out || flags & ~3u) RETURN(INVALID_VALUE);
  *out = calloc(1, sizeof **out);
  books.allocations++;
  RETURN(OK);
}

result cuEventDestroy_v2(struct event *e) {
  IN_CONTEXT;
  if (e->reached < e->wanted) drain(e->in, e->seq);
  free(e);
  books.allocations--;
  RETURN(OK);
}

result cuEventRecord(struct event *e, struct stream *s) {
  IN_CONTEXT;
  result r = enqueue(s, (struct work){.op = MARK, .event = e, .target = e->wanted + 1});
  if (!r) e->wanted++, e->in = s, e->seq = s->queued;
  RETURN(r);
}

result cuEventQuery(struct event *e) {
  IN_CONTEXT;
  if (e->in && e->in->wanted < e->seq) e->in->wanted = e->seq;
  pthread_cond_broadcast(&changed);
  RETURN(e->reached < e->wanted ? NOT_READY : OK);
}

result cuEventSynchronize(struct event *e) {
  IN_CONTEXT;
  if (e->in) drain(e->in, e->seq);
  RETURN(books.lost);
}

result cuEventElapsedTime(float *ms, struct event *a, struct event *b) {
  IN_CONTEXT;
  if (!a->wanted || !b->wanted) RETURN(INVALID_HANDLE);
  if (a->reached < a->wanted || b->reached < b->wanted) RETURN(NOT_READY);
  *ms = (b->when.tv_sec - a->when.tv_sec) * 1e3 + (b->when.tv_nsec - a->when.tv_nsec) / 1e6;
  RETURN(OK);
}

static void use(struct work *w, struct block *b) { w->uses[w->nuses++] = b; }

result cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t size, struct stream *s) {
  IN_CONTEXT;
  struct block *d, *h = find(from, size, 1);
  struct work w = {.op = COPY, .to = real_of(to, size, &d), .from = (void *)from, .size = size};
  if (!w.to || !h) RETURN(INVALID_VALUE);
  use(&w, d), use(&w, h);
  RETURN(enqueue(s, w));
}

result cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t size, struct stream *s) {
  IN_CONTEXT;
  struct block *d, *h = find(to, size, 1);
  struct work w = {.op = COPY, .to = to, .from = real_of(from, size, &d), .size = size};
  if (!w.from || !h) RETURN(INVALID_VALUE);
  use(&w, d), use(&w, h);
  RETURN(enqueue(s, w));
}

// Copies that wait for no queue: what is under way on their memory makes them wrong.
result cuMemcpyHtoD_v2(void *to, const void *from, size_t size) {
  IN_CONTEXT;
  struct block *d;
  void *real = real_of(to, size, &d);
  if (!real) RETURN(INVALID_VALUE);
  if (d->busy) RETURN(books.lost = ILLEGAL_ADDRESS);
  memcpy(real, from, size);
  RETURN(OK);
}

result cuMemcpyDtoH_v2(void *to, const void *from, size_t size) {
  IN_CONTEXT;
  struct block *d;
  void *real = real_of(from, size, &d);
  if (!real) RETURN(INVALID_VALUE);
  if (d->busy) RETURN(books.lost = ILLEGAL_ADDRESS);
  memcpy(to, real, size);
  RETURN(OK);
}

result cuMemcpyDtoDAsync_v2(void *to, const void *from, size_t size, struct stream *s) {
  IN_CONTEXT;
  struct block *a, *b;
  struct work w = {.op = COPY, .to = real_of(to, size, &a), .from = real_of(from, size, &b), .size = size};
  if (!w.to || !w.from) RETURN(INVALID_VALUE);
  use(&w, a), use(&w, b);
  RETURN(enqueue(s, w));
}

result cuMemsetD8Async(void *to, unsigned char byte, size_t size, struct stream *s) {
  IN_CONTEXT;
  struct block *b;
  struct work w = {.op = FILL, .to = real_of(to, size, &b), .byte = byte, .size = size};
  if (!w.to) RETURN(INVALID_VALUE);
  use(&w, b);
  RETURN(enqueue(s, w));
}

// ---- modules and launches

struct module { char *text; };

result cuModuleLoadDataEx(struct module **out, const char *image, unsigned n, const int *keys, void **values) {
  IN_CONTEXT;
  const char *wrong = NULL;
  result r = OK;
  float version = 0;
  const char *v = strstr(image, ".version ");
  if (!v || sscanf(v, ".version %f", &version) != 1 || !strstr(image, ".target sm_")) r = INVALID_PTX, wrong = "ptxas: no PTX";
  else if (version > 8.4f) r = UNSUPPORTED_PTX, wrong = "ptxas: unsupported .version";
  else if ((v = strstr(image, "does_not_compile"))) r = INVALID_PTX, wrong = "ptxas application input, line 1; fatal: parsing error near 'does_not_compile'";
  char *log = NULL;
  size_t room = 0;
  for (unsigned i = 0; i < n; i++) {
    if (keys[i] == 5) log = values[i];
    if (keys[i] == 6) room = (size_t)values[i];
  }
  if (wrong && log && room) snprintf(log, room, "%s", wrong);
  if (r) RETURN(r);
  struct module *m = malloc(sizeof *m);
  m->text = strdup(image);
  books.allocations++;
  *out = m;
  RETURN(OK);
}

result cuModuleUnload(struct module *m) {
  IN_CONTEXT;
  free(m->text);
  free(m);
  books.allocations--;
  RETURN(OK);
}

// parameters counts those of a kernel in PTX, -1 if it has none of that name.
static int parameters(const char *ptx, const char *name) {
  size_t n = strlen(name);
  for (const char *p = ptx; (p = strstr(p, ".entry ")); p++) {
    const char *at = p + 7;
    if (strncmp(at, name, n) || (at[n] != '(' && at[n] != '\n')) continue;
    const char *end = strpbrk(at, "{.") ? strstr(at, "{") : NULL;
    int count = 0;
    for (const char *q = strstr(at, ".param"); q && q < end; q = strstr(q + 1, ".param")) count++;
    return count;
  }
  return -1;
}

result cuModuleGetFunction(const struct entry **out, struct module *m, const char *name) {
  IN_CONTEXT;
  int n = parameters(m->text, name);
  if (n < 0) RETURN(NOT_FOUND);
  char module[64] = "";
  sscanf(m->text, "// module %63s", module);
  for (const struct table *t = standin_tables; t->module; t++)
    for (const struct entry *e = t->entries; e->name && !strcmp(t->module, module); e++)
      if (!strcmp(e->name, name)) {
        if (e->args != n) RETURN(INVALID_PTX); // not made from this source
        *out = e;
        RETURN(OK);
      }
  RETURN(NOT_FOUND);
}

result cuFuncSetAttribute(const struct entry *f, int which, int value) {
  IN_CONTEXT;
  RETURN(f && which == 8 && value >= 0 && value <= 163 << 10 ? OK : INVALID_VALUE);
}

result cuLaunchKernel(const struct entry *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                      struct stream *s, void **args, void **extra) {
  IN_CONTEXT;
  if (!f || !gx || !gy || !gz || !bx || by != 1 || bz != 1 || bx > 1024 || gy > 65535 || gz > 65535 || extra || (f->args && !args)) RETURN(INVALID_VALUE);
  struct work w = {.op = LAUNCH, .entry = f, .groups = {gx, gy, gz}, .items = bx, .shared = shared};
  unsigned next = 0;
  for (int i = 0; i < f->args; i++) {
    if (next + f->sizes[i] > sizeof w.values) RETURN(INVALID_VALUE);
    unsigned char *value = w.values + (w.at[i] = next);
    memcpy(value, args[i], f->sizes[i]);
    next += (f->sizes[i] + 15) / 16 * 16;
    void *address;
    if (!(f->pointers >> i & 1) || (memcpy(&address, value, sizeof address), !address)) continue;
    struct block *b;
    void *real = real_of(address, 1, &b);
    if (!real) {
      snprintf(books.told, sizeof books.told, "%s: argument %d is no address of live memory", f->name, i);
      fprintf(stderr, "stand-in: %s\n", books.told);
      books.lost = ILLEGAL_ADDRESS;
      RETURN(OK); // as on a device: found later
    }
    memcpy(value, &real, sizeof real);
    use(&w, b);
  }
  books.kernel_launches++;
  RETURN(enqueue(s, w));
}

// ---- graphs

result cuStreamBeginCapture_v2(struct stream *s, int mode) {
  IN_CONTEXT;
  if (s->capture || mode < 0 || mode > 2) RETURN(INVALID_VALUE);
  s->capture = calloc(1, sizeof *s->capture);
  s->capture->last = &s->capture->first;
  RETURN(OK);
}

result cuStreamEndCapture(struct stream *s, struct graph **out) {
  IN_CONTEXT;
  if (!s->capture) RETURN(INVALID_VALUE);
  *out = s->capture;
  s->capture = NULL;
  books.allocations++;
  RETURN(OK);
}

result cuGraphGetNodes(struct graph *g, void *nodes, size_t *n) {
  IN_CONTEXT;
  if (nodes) RETURN(INVALID_VALUE);
  *n = g->nodes;
  RETURN(OK);
}

static struct graph *copied(const struct graph *g) {
  struct graph *c = calloc(1, sizeof *c);
  c->last = &c->first;
  c->nodes = g->nodes;
  for (struct work *w = g->first; w; w = w->next) {
    struct work *own = malloc(sizeof *own);
    *own = *w;
    own->next = NULL;
    *c->last = own;
    c->last = &own->next;
  }
  return c;
}

static void dropped(struct graph *g) {
  for (struct work *w = g->first, *next; w; w = next) next = w->next, free(w);
  free(g);
  books.allocations--;
}

result cuGraphInstantiateWithFlags(struct graph **out, struct graph *g, unsigned long long flags) {
  IN_CONTEXT;
  if (flags) RETURN(INVALID_VALUE);
  *out = copied(g);
  books.allocations++;
  RETURN(OK);
}

result cuGraphLaunch(struct graph *g, struct stream *s) {
  IN_CONTEXT;
  books.graph_launches++;
  for (struct work *w = g->first; w; w = w->next) {
    for (int i = 0; i < w->nuses; i++) { // its memory may be gone since
      struct block *b = blocks;
      while (b && b != w->uses[i]) b = b->next;
      if (!b) {
        books.lost = ILLEGAL_ADDRESS;
        RETURN(OK);
      }
    }
    result r = enqueue(s, *w);
    if (r) RETURN(r);
  }
  RETURN(OK);
}

result cuGraphExecDestroy(struct graph *g) {
  IN_CONTEXT;
  dropped(g);
  RETURN(OK);
}

result cuGraphDestroy(struct graph *g) {
  IN_CONTEXT;
  dropped(g);
  RETURN(OK);
}

// For the stand-in of cuBLASLt: runs a function in a queue's order. Of its arguments the
// first pointers are addresses, each of so many bytes.
result standin_enqueue(struct stream *s, const struct entry *e, void **args, const size_t *bytes) {
  IN_CONTEXT;
  struct work w = {.op = LAUNCH, .entry = e, .groups = {1, 1, 1}, .items = 1};
  for (int i = 0; i < e->args; i++) {
    w.at[i] = 16 * i;
    memcpy(w.values + 16 * i, args[i], e->sizes[i]);
    if (!(e->pointers >> i & 1)) continue;
    struct block *b;
    void *real = real_of(*(void **)args[i], bytes[i], &b);
    if (!real) RETURN(INVALID_VALUE);
    memcpy(w.values + 16 * i, &real, sizeof real);
    use(&w, b);
  }
  books.products++;
  RETURN(enqueue(s, w));
}
