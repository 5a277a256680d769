/* Makes JPEGs of every kind that libjpeg writes, for pillow_check.py: gray, YCbCr, RGB, CMYK, YCCK; sampling factors 1 to 4 that
 * divide; one scan, one scan per component, Y before the rest, progressive by a random script; restart intervals; qualities 1 to
 * 100; with and without JFIF and Adobe markers; and some cut after one of their scans, like a preview.
 *
 * usage: cc -O2 odd_jpegs.c -ljpeg -o odd_jpegs && ./odd_jpegs FOLDER COUNT [LARGEST_SIDE] && tar cf odd.tar -C FOLDER .
 * A file depends only on its number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

static unsigned long long state;

/* A number below `end`. */
static int below(int end) {
  unsigned long long x = state += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return (int)((x ^ (x >> 31)) % end);
}

static jpeg_scan_info scans[1000];
static int scan_count;

/* A scan of `count` components from `first` on. */
static void scan(int first, int count, int from, int to, int high, int low) {
  jpeg_scan_info *info = &scans[scan_count++];
  info->comps_in_scan = count;
  for (int i = 0; i < count; i++) info->component_index[i] = first + i;
  info->Ss = from, info->Se = to, info->Ah = high, info->Al = low;
}

static void dc_scans(int together, int components, int high, int low) {
  if (together && below(3)) scan(0, components, 0, 0, high, low);
  else for (int i = 0; i < components; i++) scan(i, 1, 0, 0, high, low);
}

/* The AC coefficients of a component in bands. */
static void ac_scans(int component, int high, int low) {
  for (int from = 1, to; from <= 63; from = to + 1) {
    to = from + below(64 - from + (below(2) ? 64 : 0));
    if (to > 63) to = 63;
    scan(component, 1, from, to, high, low);
  }
}

static void progression(int together, int components) {
  int dc = below(3), ac[4];
  dc_scans(together, components, 0, dc);
  for (int i = 0; i < components; i++) ac_scans(i, 0, ac[i] = below(4));
  for (; dc > 0; dc--) dc_scans(together, components, dc, dc - 1);
  for (int i = 0; i < components; i++) for (; ac[i] > 0; ac[i]--) ac_scans(i, ac[i], ac[i] - 1);
}

/* Sampling factors of which the largest are multiples, and scans that may have so many blocks an MCU. */
static void sampling_and_scans(struct jpeg_compress_struct *jpeg) {
  int components = jpeg->num_components, any = below(3), fits;
  do {
    int h_most = 1, v_most = 1, blocks = 0;
    for (int i = 0; i < components; i++) {
      jpeg_component_info *info = &jpeg->comp_info[i];
      int usual = any ? 4 : i == 0 ? 2 : 1;
      info->h_samp_factor = 1 + below(usual), info->v_samp_factor = 1 + below(usual);
      if (!any && i == 3) info->h_samp_factor = jpeg->comp_info[0].h_samp_factor;
      if (!any && i == 3) info->v_samp_factor = jpeg->comp_info[0].v_samp_factor;
      if (info->h_samp_factor > h_most) h_most = info->h_samp_factor;
      if (info->v_samp_factor > v_most) v_most = info->v_samp_factor;
      blocks += info->h_samp_factor * info->v_samp_factor;
    }
    fits = 1;
    for (int i = 0; i < components; i++)
      if (h_most % jpeg->comp_info[i].h_samp_factor || v_most % jpeg->comp_info[i].v_samp_factor) fits = 0;
    int together = blocks <= 10 || components == 1;
    scan_count = 0;
    if (below(2)) progression(together, components);
    else if (!together || below(3) == 0) for (int i = 0; i < components; i++) scan(i, 1, 0, 63, 0, 0);
    else if (components > 1 && below(2)) scan(0, 1, 0, 63, 0, 0), scan(1, components - 1, 0, 63, 0, 0);
  } while (!fits);
  if (scan_count) jpeg->scan_info = scans, jpeg->num_scans = scan_count;
}

static int sample(int style, int x, int y, int component, int wide, int tall) {
  switch (style) {
    case 0: return below(256);
    case 1: return (x * wide + y * tall + component * 60) & 255;
    case 2: return (x / (wide * 3) + y / (tall * 3) + component) & 1 ? 250 - component * 9 : 6 + component * 7;
    default: return (x * x * wide / 300 + y * tall + component * 40 + below(20)) / 2 & 255;
  }
}

/* Where the file ends if what comes from one of its scans on, but the first, is cut off. */
static unsigned long cut(const unsigned char *file, unsigned long size) {
  unsigned long starts[1000];
  int count = 0;
  for (unsigned long at = 2; file[at + 1] != 0xd9;) {
    int data = file[at + 1] == 0xda;
    if (data) starts[count++] = at;
    at += 2 + (file[at + 2] << 8) + file[at + 3];
    /* Entropy-coded data goes on over stuffed zeros and restart markers. */
    while (data && (file[at] != 0xff || file[at + 1] == 0 || (file[at + 1] & 0xf8) == 0xd0)) at++;
  }
  return count > 1 ? starts[1 + below(count - 1)] : size - 2;
}

static void write_file(const char *folder, int number, int largest) {
  static const int qualities[] = {1, 5, 10, 30, 50, 75, 85, 90, 95, 100};
  static const J_COLOR_SPACE colors[] = {JCS_GRAYSCALE, JCS_YCbCr, JCS_YCbCr, JCS_YCbCr, JCS_RGB, JCS_CMYK, JCS_YCCK};
  state = number * 7919ull;
  int side = below(4) ? largest : 20;
  int width = 1 + below(below(8) ? side : 8), height = 1 + below(below(8) ? side : 8);
  J_COLOR_SPACE color = colors[below(7)];
  int components = color == JCS_GRAYSCALE ? 1 : color == JCS_CMYK || color == JCS_YCCK ? 4 : 3;

  struct jpeg_error_mgr errors;
  struct jpeg_compress_struct jpeg;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char *file = NULL;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &file, &size);
  jpeg.image_width = width, jpeg.image_height = height;
  jpeg.input_components = components;
  jpeg.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_set_colorspace(&jpeg, color);
  jpeg_set_quality(&jpeg, qualities[below(10)], TRUE);
  sampling_and_scans(&jpeg);
  jpeg.optimize_coding = below(2);
  if (below(3) == 0) jpeg.restart_interval = 1 + below(9);
  else if (below(3) == 0) jpeg.restart_in_rows = 1 + below(2);
  if (below(3) == 0) jpeg.write_JFIF_header = below(2);
  if (below(3) == 0) jpeg.write_Adobe_marker = below(2);
  jpeg_start_compress(&jpeg, TRUE);
  unsigned char *row = malloc(width * components);
  int style = below(4), wide = 1 + below(9), tall = 1 + below(9);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width * components; x++)
      row[x] = sample(style, x / components, y, x % components, wide, tall);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);

  char path[4096];
  snprintf(path, sizeof path, "%s/%06d.jpg", folder, number);
  FILE *out = fopen(path, "wb");
  if (!out) perror(path), exit(1);
  unsigned long end = number % 3 ? size - 2 : cut(file, size);
  fwrite(file, 1, end, out);
  fwrite("\xff\xd9", 1, 2, out);
  fclose(out);
  free(row);
  free(file);
}

int main(int count, char **arguments) {
  if (count < 3) return fputs("usage: odd_jpegs FOLDER COUNT [LARGEST_SIDE]\n", stderr), 2;
  int largest = count > 3 ? atoi(arguments[3]) : 400;
  for (int number = 0; number < atoi(arguments[2]); number++) write_file(arguments[1], number, largest);
  return 0;
}
