// What the source of the kernels says of each, as standin.go writes it down.
#ifndef STANDIN_ENTRIES_H
#define STANDIN_ENTRIES_H

#include "group.h"

enum { MOST_ARGS = 32 };

struct entry {
  const char *name;
  kernel call;
  int args;
  unsigned pointers; // bit i: argument i is an address
  unsigned sizes[MOST_ARGS];
};

struct table {
  const char *module;
  const struct entry *entries; // ended by one without a name
};

extern const struct table standin_tables[]; // ended by one without a module

#endif
