// Normalisations of rows. One group has one row.

#define SIZE 256

// total adds v over the group.
DEVICE float total(LOCAL float* part, float v) {
  int t = LID();
  BARRIER();
  part[t] = v;
  BARRIER();
  for (int s = SIZE / 2; s > 0; s >>= 1) {
    if (t < s) part[t] += part[t + s];
    BARRIER();
  }
  return part[0];
}

// rms_norm is y = round(x / sqrt(mean(x²) + epsilon))·scale, rounded to the type of x.
KERNEL void rms_norm(GLOBAL const void* x, int tx, GLOBAL const void* scale, int ts, GLOBAL void* y, int ty, int width, float epsilon) {
  LOCALS(float, part, SIZE);
  u32 row = (u32)GROUP(0) * (u32)width;
  float sum = 0.0f;
  for (int i = LID(); i < width; i += SIZE) {
    float v = float_at(x, tx, row + (u32)i);
    sum = fma(v, v, sum);
  }
  float inv = 1.0f / sqrt(total(part, sum) / (float)width + epsilon);
  for (int i = LID(); i < width; i += SIZE)
    float_to(y, ty, row + (u32)i, rounded(tx, float_at(x, tx, row + (u32)i) * inv) * float_at(scale, ts, (u32)i));
}

// layer_norm is y = round(round((x - mean) / sqrt(variance + epsilon))·scale) + bias,
// rounded to the type of x; a bias may be absent.
KERNEL void layer_norm(GLOBAL const void* x, int tx, GLOBAL const void* scale, int ts, GLOBAL const void* bias, int tb, int biased, GLOBAL void* y, int ty, int width, float epsilon) {
  LOCALS(float, part, SIZE);
  u32 row = (u32)GROUP(0) * (u32)width;
  float sum = 0.0f;
  for (int i = LID(); i < width; i += SIZE) sum += float_at(x, tx, row + (u32)i);
  float mean = total(part, sum) / (float)width;
  sum = 0.0f;
  for (int i = LID(); i < width; i += SIZE) {
    float v = float_at(x, tx, row + (u32)i) - mean;
    sum = fma(v, v, sum);
  }
  float inv = 1.0f / sqrt(total(part, sum) / (float)width + epsilon);
  for (int i = LID(); i < width; i += SIZE) {
    float v = rounded(tx, rounded(tx, (float_at(x, tx, row + (u32)i) - mean) * inv) * float_at(scale, ts, (u32)i));
    float_to(y, ty, row + (u32)i, biased ? v + float_at(bias, tb, (u32)i) : v);
  }
}
