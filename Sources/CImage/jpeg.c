#include "CImage.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

// A progressive file of a few kilobytes can hold thousands of scans, each a pass over the whole picture.
enum { ScanLimit = 500 };

typedef struct {
  struct jpeg_error_mgr manager;  // First, so that libjpeg's pointer to it is a pointer to this.
  jmp_buf escape;
  char *message;
  CImageStatus status;
} ErrorContext;

static ErrorContext *context_of(j_common_ptr info) { return (ErrorContext *)info->err; }

static _Noreturn void escape_with_library_message(j_common_ptr info) {
  ErrorContext *context = context_of(info);
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  snprintf(context->message, CImageMessageCapacity, "%s", text);
  context->status = info->err->msg_code == JERR_OUT_OF_MEMORY ? CImageNoMemory : CImageCorrupt;
  longjmp(context->escape, 1);
}

static _Noreturn void escape_with(j_common_ptr info, CImageStatus status, const char *sentence) {
  ErrorContext *context = context_of(info);
  snprintf(context->message, CImageMessageCapacity, "%s", sentence);
  context->status = status;
  longjmp(context->escape, 1);
}

// libjpeg calls lost picture data a warning and fills the hole with grey. These warnings end the decoding;
// the others (stray bytes between segments, odd version numbers) lose no pixel and are common in real files.
static void judge_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      escape_with_library_message(info);
    default:
      break;
  }
}

static void stay_silent(j_common_ptr info) { (void)info; }

static struct jpeg_error_mgr *prepare(ErrorContext *context, char *message) {
  struct jpeg_error_mgr *manager = jpeg_std_error(&context->manager);
  manager->error_exit = escape_with_library_message;
  manager->emit_message = judge_message;
  manager->output_message = stay_silent;
  context->message = message;
  context->status = CImageOK;
  message[0] = 0;
  return manager;
}

static void no_source_action(j_decompress_ptr info) { (void)info; }

// Called when the bytes run out. A sequential picture of one scan may lack its end marker: if any of its
// data were missing, the entropy decoder would report having hit the marker supplied here. With several
// scans, whole ones could be missing without a trace.
static boolean supply_end_marker(j_decompress_ptr info) {
  static const JOCTET end_marker[] = {0xFF, JPEG_EOI};
  int in_header = info->comps_in_scan == 0;
  if (in_header || info->progressive_mode || info->comps_in_scan < info->num_components) {
    escape_with((j_common_ptr)info, CImageCorrupt, "the file ends before the picture does");
  }
  info->src->next_input_byte = end_marker;
  info->src->bytes_in_buffer = sizeof end_marker;
  return TRUE;
}

static void skip_source_bytes(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if ((size_t)count > info->src->bytes_in_buffer) {
    escape_with((j_common_ptr)info, CImageCorrupt, "the file ends inside a segment");
  }
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= (size_t)count;
}

static void limit_scans(j_common_ptr info) {
  if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > ScanLimit) {
    escape_with(info, CImageCorrupt, "the file has more than 500 scans");
  }
}

static uint8_t divide_by_255(uint32_t value) {
  value += 128;
  return (uint8_t)((value + (value >> 8)) >> 8);
}

// Four-component files follow Adobe's convention and store inverted ink, whether or not they say so.
static void rgb_from_inverted_cmyk(const JSAMPLE *row, uint8_t *rgb, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, row += 4, rgb += 3) {
    uint32_t light = row[3];
    for (int channel = 0; channel < 3; channel++) {
      rgb[channel] = (uint8_t)(light - divide_by_255((255u - row[channel]) * light));
    }
  }
}

static void decode(struct jpeg_decompress_struct *info, uint64_t pixel_limit, CImagePixels *pixels) {
  jpeg_read_header(info, TRUE);
  pixels->width = info->image_width;
  pixels->height = info->image_height;
  if ((uint64_t)pixels->width * pixels->height > pixel_limit) {
    escape_with((j_common_ptr)info, CImageTooLarge, "too many pixels");
  }
  int components = info->num_components;
  if (components != 1 && components != 3 && components != 4) {
    escape_with((j_common_ptr)info, CImageCorrupt, "pictures of one, three or four components are supported");
  }
  info->out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
  info->dct_method = JDCT_ISLOW;
  jpeg_start_decompress(info);

  size_t stride = (size_t)pixels->width * 3;
  pixels->bytes = malloc(stride * pixels->height);
  if (!pixels->bytes) escape_with((j_common_ptr)info, CImageNoMemory, "out of memory");
  JSAMPARRAY inks = NULL;
  if (components == 4) {
    inks = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE, pixels->width * 4, 1);
  }
  while (info->output_scanline < info->output_height) {
    uint8_t *row = pixels->bytes + stride * info->output_scanline;
    if (inks) {
      jpeg_read_scanlines(info, inks, 1);
      rgb_from_inverted_cmyk(inks[0], row, pixels->width);
    } else {
      jpeg_read_scanlines(info, &row, 1);
    }
  }
}

CImageStatus cimage_decode_jpeg(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, CImagePixels *pixels, char *message) {
  struct jpeg_decompress_struct info;
  struct jpeg_progress_mgr progress = {.progress_monitor = limit_scans};
  struct jpeg_source_mgr source = {
      .next_input_byte = bytes,
      .bytes_in_buffer = count,
      .init_source = no_source_action,
      .fill_input_buffer = supply_end_marker,
      .skip_input_data = skip_source_bytes,
      .resync_to_restart = jpeg_resync_to_restart,
      .term_source = no_source_action,
  };
  ErrorContext context;
  *pixels = (CImagePixels){0};
  memset(&info, 0, sizeof info);
  info.err = prepare(&context, message);
  if (setjmp(context.escape) == 0) {
    jpeg_create_decompress(&info);
    info.src = &source;
    info.progress = &progress;
    decode(&info, pixel_limit, pixels);
  } else {
    cimage_free(pixels->bytes);
    pixels->bytes = NULL;
  }
  jpeg_destroy_decompress(&info);
  return context.status;
}

typedef struct {
  struct jpeg_destination_mgr manager;  // First, so that libjpeg's pointer to it is a pointer to this.
  CImageFile file;
  size_t capacity;
} Destination;

static void grow(j_compress_ptr info) {
  Destination *destination = (Destination *)info->dest;
  size_t used = destination->file.count;
  size_t capacity = used ? 2 * used : 1 << 16;
  uint8_t *bytes = realloc(destination->file.bytes, capacity);
  if (!bytes) escape_with((j_common_ptr)info, CImageNoMemory, "out of memory");
  destination->file.bytes = bytes;
  destination->capacity = capacity;
  info->dest->next_output_byte = bytes + used;
  info->dest->free_in_buffer = capacity - used;
}

static boolean grow_when_full(j_compress_ptr info) {
  Destination *destination = (Destination *)info->dest;
  destination->file.count = destination->capacity;  // libjpeg calls this for a full buffer only.
  grow(info);
  return TRUE;
}

static void finish_file(j_compress_ptr info) {
  Destination *destination = (Destination *)info->dest;
  destination->file.count = destination->capacity - info->dest->free_in_buffer;
}

static void encode(
    struct jpeg_compress_struct *info, const uint8_t *rgb, uint32_t width, uint32_t height, int quality) {
  info->image_width = width;
  info->image_height = height;
  info->input_components = 3;
  info->in_color_space = JCS_RGB;
  jpeg_set_defaults(info);
  jpeg_set_quality(info, quality, TRUE);
  if (quality >= 90) {
    info->comp_info[0].h_samp_factor = 1;
    info->comp_info[0].v_samp_factor = 1;
  }
  jpeg_start_compress(info, TRUE);
  while (info->next_scanline < height) {
    JSAMPROW row = (JSAMPROW)(rgb + (size_t)width * 3 * info->next_scanline);
    jpeg_write_scanlines(info, &row, 1);
  }
  jpeg_finish_compress(info);
}

CImageStatus cimage_encode_jpeg(
    const uint8_t *rgb, uint32_t width, uint32_t height, int quality, CImageFile *file, char *message) {
  struct jpeg_compress_struct info;
  Destination destination = {
      .manager = {
          .init_destination = grow,
          .empty_output_buffer = grow_when_full,
          .term_destination = finish_file,
      }};
  ErrorContext context;
  *file = (CImageFile){0};
  memset(&info, 0, sizeof info);
  info.err = prepare(&context, message);
  if (setjmp(context.escape) == 0) {
    jpeg_create_compress(&info);
    info.dest = &destination.manager;
    encode(&info, rgb, width, height, quality);
    *file = destination.file;
  } else {
    free(destination.file.bytes);
  }
  jpeg_destroy_compress(&info);
  return context.status;
}
