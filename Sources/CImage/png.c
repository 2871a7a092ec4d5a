#include "CImage.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

typedef struct {
  jmp_buf escape;
  char *message;
  CImageStatus status;

  const uint8_t *input;
  size_t remaining;

  uint8_t *picture;
  uint8_t *deep;  // 16-bit grey samples, high byte first.
  CImageFile output;
  size_t capacity;
} Context;

static _Noreturn void escape_with(Context *context, CImageStatus status, const char *sentence) {
  snprintf(context->message, CImageMessageCapacity, "%s", sentence);
  context->status = status;
  longjmp(context->escape, 1);
}

static _Noreturn void library_error(png_structp png, png_const_charp sentence) {
  escape_with(png_get_error_ptr(png), CImageCorrupt, sentence);
}

// libpng warns of odd ancillary chunks (colour profiles, text) only; damaged picture data is an error.
static void library_warning(png_structp png, png_const_charp sentence) {
  (void)png;
  (void)sentence;
}

static void read_bytes(png_structp png, png_bytep destination, size_t count) {
  Context *context = png_get_io_ptr(png);
  if (count > context->remaining) {
    escape_with(context, CImageCorrupt, "the file ends before the picture does");
  }
  memcpy(destination, context->input, count);
  context->input += count;
  context->remaining -= count;
}

static uint8_t *allocate(Context *context, size_t count) {
  uint8_t *bytes = malloc(count ? count : 1);
  if (!bytes) escape_with(context, CImageNoMemory, "out of memory");
  return bytes;
}

// Reads into `destination`, whose rows hold what png_get_rowbytes says.
static void read_rows(png_structp png, png_infop info, uint8_t *destination, uint32_t height, int passes) {
  size_t stride = png_get_rowbytes(png, info);
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t y = 0; y < height; y++) png_read_row(png, destination + stride * y, NULL);
  }
}

static void decode(
    Context *context, png_structp png, png_infop info, uint64_t pixel_limit, CImagePixels *pixels) {
  png_set_read_fn(png, context, read_bytes);
  png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
  png_read_info(png, info);
  pixels->width = png_get_image_width(png, info);
  pixels->height = png_get_image_height(png, info);
  if ((uint64_t)pixels->width * pixels->height > pixel_limit) {
    escape_with(context, CImageTooLarge, "too many pixels");
  }
  size_t samples = (size_t)pixels->width * pixels->height;
  int color = png_get_color_type(png, info);
  int passes = png_set_interlace_handling(png);

  if (color == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) == 16) {
    png_read_update_info(png, info);
    context->deep = allocate(context, samples * 2);
    read_rows(png, info, context->deep, pixels->height, passes);
    context->picture = allocate(context, samples * 3);
    for (size_t i = 0; i < samples; i++) {
      uint8_t clipped = context->deep[2 * i] ? 255 : context->deep[2 * i + 1];
      memset(context->picture + 3 * i, clipped, 3);
    }
  } else {
    png_set_strip_16(png);
    if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
    if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)pixels->width * 3) {
      escape_with(context, CImageCorrupt, "the picture's colours cannot be read as RGB");
    }
    context->picture = allocate(context, samples * 3);
    read_rows(png, info, context->picture, pixels->height, passes);
  }
  png_read_end(png, NULL);
}

CImageStatus cimage_decode_png(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, CImagePixels *pixels, char *message) {
  Context context = {.message = message, .input = bytes, .remaining = count};
  *pixels = (CImagePixels){0};
  message[0] = 0;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &context, library_error, library_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    png_destroy_read_struct(&png, NULL, NULL);
    snprintf(message, CImageMessageCapacity, "out of memory");
    return CImageNoMemory;
  }
  if (setjmp(context.escape) == 0) {
    decode(&context, png, info, pixel_limit, pixels);
    pixels->bytes = context.picture;
  } else {
    free(context.picture);
  }
  free(context.deep);
  png_destroy_read_struct(&png, &info, NULL);
  return context.status;
}

static void write_bytes(png_structp png, png_bytep source, size_t count) {
  Context *context = png_get_io_ptr(png);
  CImageFile *output = &context->output;
  if (output->count + count > context->capacity) {
    size_t capacity = 2 * (output->count + count);
    uint8_t *bytes = realloc(output->bytes, capacity);
    if (!bytes) escape_with(context, CImageNoMemory, "out of memory");
    output->bytes = bytes;
    context->capacity = capacity;
  }
  memcpy(output->bytes + output->count, source, count);
  output->count += count;
}

static void no_flush(png_structp png) { (void)png; }

CImageStatus cimage_encode_png(
    const uint8_t *pixels, uint32_t width, uint32_t height, int channels, CImageFile *file, char *message) {
  Context context = {.message = message};
  *file = (CImageFile){0};
  message[0] = 0;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &context, library_error, library_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    png_destroy_write_struct(&png, NULL);
    snprintf(message, CImageMessageCapacity, "out of memory");
    return CImageNoMemory;
  }
  if (setjmp(context.escape) == 0) {
    png_set_write_fn(png, &context, write_bytes, no_flush);
    png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
    int color = channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
    png_set_IHDR(
        png, info, width, height, 8, color, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
        PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < height; y++) png_write_row(png, pixels + (size_t)width * (size_t)channels * y);
    png_write_end(png, NULL);
    *file = context.output;
  } else {
    free(context.output.bytes);
  }
  png_destroy_write_struct(&png, &info);
  return context.status;
}
