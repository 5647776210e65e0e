// A loader of OpenCL that stands before the machine's own and lets calls fail. The
// environment variable FAULTY says which: "CALL:N:STATUS", where call number N fails, with
// N+ the later ones as well; "hang:N", where kernel number N and what follows never end;
// "spoil", where every kernel's source has an error.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uintptr_t word;
typedef word (*entry)(word, word, word, word, word, word, word, word, word, word, word, word, word);

static void *real(const char *name) {
  static void *library;
  if (!library && !(library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL))) abort();
  return dlsym(library, name);
}

// failing returns the status that a call is to fail with, or 0.
static int failing(const char *name, int *count) {
  const char *text = getenv("FAULTY");
  char call[64] = "", from[16] = "";
  int status = 0;
  ++*count;
  if (!text || sscanf(text, "%63[^:]:%15[^:]:%d", call, from, &status) != 3 || strcmp(call, name)) return 0;
  int n = atoi(from);
  return *count == n || (*count > n && strchr(from, '+')) ? status : 0;
}

static int hung;

static int hangs(void) {
  static int kernels;
  const char *text = getenv("FAULTY");
  if (text && !strncmp(text, "hang:", 5) && ++kernels >= atoi(text + 5)) hung = 1;
  return hung;
}

#define PARAMETERS word a, word b, word c, word d, word e, word f, word g, word h, word i, word j, word k, word l, word m
#define GIVEN a, b, c, d, e, f, g, h, i, j, k, l, m
#define PASS(name) ((entry)real(#name))(GIVEN)
#define FAIL(name)                              \
  static int count;                             \
  int status = failing(#name, &count);          \
  if (status) return (word)(int64_t)status;

// Calls that return a status.
#define STATUS(name) \
  word name(PARAMETERS) { FAIL(name) return PASS(name); }

// Calls that return an object, and their status where an argument points to.
#define OBJECT(name, at)                     \
  word name(PARAMETERS) {                    \
    static int count;                        \
    int status = failing(#name, &count);     \
    if (!status) return PASS(name);          \
    if (at) *(int *)at = status;             \
    return 0;                                \
  }

STATUS(clGetPlatformIDs) STATUS(clGetPlatformInfo) STATUS(clGetDeviceIDs) STATUS(clGetDeviceInfo) STATUS(clReleaseContext)
STATUS(clReleaseCommandQueue) STATUS(clReleaseMemObject) STATUS(clReleaseProgram) STATUS(clBuildProgram) STATUS(clGetProgramInfo)
STATUS(clGetProgramBuildInfo) STATUS(clReleaseKernel) STATUS(clSetKernelArg) STATUS(clGetKernelWorkGroupInfo)
STATUS(clEnqueueReadBuffer) STATUS(clEnqueueWriteBuffer) STATUS(clEnqueueCopyBuffer) STATUS(clEnqueueFillBuffer)
STATUS(clEnqueueUnmapMemObject) STATUS(clEnqueueMarkerWithWaitList) STATUS(clFlush) STATUS(clGetEventProfilingInfo) STATUS(clReleaseEvent)
OBJECT(clCreateContext, f) OBJECT(clCreateCommandQueue, d) OBJECT(clCreateBuffer, e) OBJECT(clCreateSubBuffer, e)
OBJECT(clCreateProgramWithBinary, g) OBJECT(clCreateKernel, c) OBJECT(clEnqueueMapBuffer, j)

word clCreateProgramWithSource(PARAMETERS) {
  const char *text = getenv("FAULTY");
  if (!text || strcmp(text, "spoil")) return PASS(clCreateProgramWithSource);
  const char *sources[] = {*(const char **)c, "\nthis is no kernel;\n"};
  b = 2, c = (word)sources, d = 0;
  return PASS(clCreateProgramWithSource);
}

word clEnqueueNDRangeKernel(PARAMETERS) {
  FAIL(clEnqueueNDRangeKernel)
  return hangs() ? 0 : PASS(clEnqueueNDRangeKernel);
}

word clGetEventInfo(PARAMETERS) {
  FAIL(clGetEventInfo)
  word r = PASS(clGetEventInfo);
  if (hung && b == 0x11D3) *(int *)d = 1; // it runs
  return r;
}

word clWaitForEvents(PARAMETERS) {
  FAIL(clWaitForEvents)
  while (hung) pause();
  return PASS(clWaitForEvents);
}

word clFinish(PARAMETERS) {
  FAIL(clFinish)
  while (hung) pause();
  return PASS(clFinish);
}
