/* Prints how many JPEGs per second libjpeg-turbo decodes to RGB, from memory, as pipeline/examples/decode_rate.rs does.
 *
 * usage: cc -O2 turbo_decode_rate.c -ljpeg -o turbo_decode_rate && ./turbo_decode_rate ROUNDS FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jpeglib.h>

struct file {
  unsigned char *bytes;
  size_t size;
  double least;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

static struct file read_file(const char *path) {
  FILE *in = fopen(path, "rb");
  if (!in || fseek(in, 0, SEEK_END)) perror(path), exit(1);
  struct file file = {NULL, ftell(in), 1e9};
  rewind(in);
  file.bytes = malloc(file.size);
  if (fread(file.bytes, 1, file.size, in) != file.size) perror(path), exit(1);
  fclose(in);
  return file;
}

int main(int count, char **arguments) {
  static unsigned char *rgb;
  static size_t room;
  struct file *files = malloc(count * sizeof *files);
  double sum = 0;
  for (int i = 2; i < count; i++) files[i] = read_file(arguments[i]);
  for (int round = 0; round < atoi(arguments[1]); round++) {
    for (int i = 2; i < count; i++) {
      double start = now();
      struct jpeg_error_mgr errors;
      struct jpeg_decompress_struct jpeg;
      jpeg.err = jpeg_std_error(&errors);
      jpeg_create_decompress(&jpeg);
      jpeg_mem_src(&jpeg, files[i].bytes, files[i].size);
      jpeg_read_header(&jpeg, TRUE);
      jpeg.out_color_space = JCS_RGB;
      jpeg_start_decompress(&jpeg);
      size_t row = 3 * (size_t)jpeg.output_width, size = row * jpeg.output_height;
      if (size > room) rgb = realloc(rgb, room = size);
      while (jpeg.output_scanline < jpeg.output_height) {
        unsigned char *out = rgb + row * jpeg.output_scanline;
        jpeg_read_scanlines(&jpeg, &out, 1);
      }
      jpeg_finish_decompress(&jpeg);
      jpeg_destroy_decompress(&jpeg);
      double time = now() - start;
      if (time < files[i].least) files[i].least = time;
    }
  }
  for (int i = 2; i < count; i++) sum += files[i].least;
  printf("%.1f\n", (count - 2) / sum);
  return 0;
}
