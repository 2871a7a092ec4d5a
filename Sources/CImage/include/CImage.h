#ifndef CIMAGE_H
#define CIMAGE_H

#include <stddef.h>
#include <stdint.h>

// JPEG and PNG between memory and 8-bit pixels. No function keeps state, prints, or ends the process: what
// the libraries report comes back as a status and a sentence in `message`, of CImageMessageCapacity bytes.

enum { CImageMessageCapacity = 256 };

typedef enum {
  CImageOK = 0,
  CImageCorrupt,   // The file breaks its format, ends early, or uses a feature that is not supported.
  CImageTooLarge,  // More pixels than the given limit; width and height of the result are set.
  CImageNoMemory,
} CImageStatus;

// Rows from the top, three bytes (R, G, B) a pixel, no padding.
typedef struct {
  uint8_t *bytes;
  uint32_t width;
  uint32_t height;
} CImagePixels;

typedef struct {
  uint8_t *bytes;
  size_t count;
} CImageFile;

// The results own their bytes: release them with cimage_free. On failure they own nothing.

CImageStatus cimage_decode_jpeg(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, CImagePixels *pixels, char *message);
CImageStatus cimage_decode_png(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, CImagePixels *pixels, char *message);

// quality is libjpeg's, 1 to 100; chroma is halved in both directions below 90 and kept from there on.
CImageStatus cimage_encode_jpeg(
    const uint8_t *rgb, uint32_t width, uint32_t height, int quality, CImageFile *file, char *message);

// channels is 1 (grey) or 3 (RGB), 8 bits each.
CImageStatus cimage_encode_png(
    const uint8_t *pixels, uint32_t width, uint32_t height, int channels, CImageFile *file, char *message);

void cimage_free(void *bytes);

#endif
