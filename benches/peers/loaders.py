"""Other image loaders, each doing the same work in its best configuration: augmented views of each image.

usage: python3 loaders.py PEER FOLDER [--set imagenet|cifar] [--workers N] [--seconds S]
Prints versions and `images_per_s: N`: each image is decoded once and gives two normalised f32 views, or SwAV's eight. PEER is one of
  torchvision     PIL and torchvision's transforms in torch's DataLoader: facebookresearch/simsiam's own code path
  swav            the same for SwAV's 2 views of 224 and 6 of 96 (of cifar, 2 of 32 and 6 of 16): facebookresearch/swav's
                  multicropdataset.py, with Pillow's blur
  albumentations  OpenCV and albumentations in torch's DataLoader
  dali            NVIDIA DALI's operators for the processor
  ffcv            FFCV, which has no hue, gray and blur: less work than the others; it stores its own JPEGs, of quality 90
  turbojpeg       libjpeg-turbo decoding whole images to RGB, and nothing else
Needs the peer's packages. The libraries' own threads are off: parallelism comes from --workers alone. With `--workers 0`
torch's DataLoader starts no process, and `cores_busy: N` is the number of cores that the peer kept busy.
"""
import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import glob
import importlib.metadata
import random
import time

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALE = (0.2, 1.0)


class Endless:
    """A DataLoader's sampler: one shuffled epoch after the other."""

    def __init__(self, files):
        self.count = len(files)

    def __len__(self):
        return 10**9

    def __iter__(self):
        while True:
            yield from random.sample(range(self.count), self.count)


class Files:
    def __init__(self, files, load):
        self.files, self.load = files, load

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return self.load(self.files[i])


def data_loader(files, load, args):
    import torch
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(
        Files(files, load), args.batch, sampler=Endless(files), num_workers=args.workers, drop_last=True)
    return ((batch, args.batch) for batch in loader)


def torchvision(files, args):
    from PIL import Image, ImageFilter
    from torchvision import transforms as T

    def blur(image):
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))

    view = T.Compose([
        T.RandomResizedCrop(args.size, scale=SCALE),
        T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        T.RandomGrayscale(p=0.2),
        *([T.RandomApply([blur], p=0.5)] if args.blur else []),
        T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])

    def load(path):
        with open(path, "rb") as file:
            image = Image.open(file).convert("RGB")
        return view(image), view(image)

    return data_loader(files, load, args), ["torch", "torchvision", "pillow"]


def swav(files, args):
    from PIL import Image, ImageFilter
    from torchvision import transforms as T

    def blur(image):
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))

    def crop(size, scale):
        return T.Compose([
            T.RandomResizedCrop(size, scale=scale), T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
            T.RandomGrayscale(p=0.2),
            *([T.RandomApply([blur], p=0.5)] if args.blur else []),
            T.ToTensor(), T.Normalize(MEAN, STD)])

    small = 96 if args.size == 224 else args.size // 2
    views = [crop(args.size, (0.14, 1.0))] * 2 + [crop(small, (0.05, 0.14))] * 6

    def load(path):
        with open(path, "rb") as file:
            image = Image.open(file).convert("RGB")
        return tuple(view(image) for view in views)

    return data_loader(files, load, args), ["torch", "torchvision", "pillow"]


def albumentations(files, args):
    import albumentations as A
    import cv2
    from albumentations.pytorch import ToTensorV2
    cv2.setNumThreads(0)
    view = A.Compose([
        A.RandomResizedCrop(size=(args.size, args.size), scale=SCALE),
        A.ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=(-0.1, 0.1), p=0.8),
        A.ToGray(p=0.2),
        *([A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2.0), p=0.5)] if args.blur else []),
        A.HorizontalFlip(p=0.5), A.Normalize(MEAN, STD), ToTensorV2()])

    def load(path):
        image = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
        return view(image=image)["image"], view(image=image)["image"]

    return data_loader(files, load, args), ["albumentations", "opencv-python-headless", "torch"]


def dali(files, args):
    from nvidia.dali import fn, pipeline_def, types

    def view(image):
        x = fn.random_resized_crop(image, size=[args.size, args.size], random_area=list(SCALE), antialias=True)
        jitter = fn.cast(fn.random.coin_flip(probability=0.8), dtype=types.FLOAT)
        gray = fn.cast(fn.random.coin_flip(probability=0.2), dtype=types.FLOAT)

        def factor():
            return 1.0 + jitter * fn.random.uniform(range=[-0.4, 0.4])

        # Gray is a saturation of 0, so one pass does all five.
        x = fn.color_twist(x, brightness=factor(), contrast=factor(), saturation=factor() * (1.0 - gray),
                           hue=jitter * fn.random.uniform(range=[-36.0, 36.0]))
        if args.blur and fn.random.coin_flip(probability=0.5, dtype=types.BOOL):
            x = fn.gaussian_blur(x, sigma=fn.random.uniform(range=[0.1, 2.0]))
        return fn.crop_mirror_normalize(x, mirror=fn.random.coin_flip(), dtype=types.FLOAT, output_layout="CHW",
                                        mean=[255 * m for m in MEAN], std=[255 * s for s in STD])

    @pipeline_def(batch_size=args.batch, num_threads=args.workers, device_id=None, enable_conditionals=True)
    def pipeline():
        jpeg, _ = fn.readers.file(files=files, random_shuffle=True, initial_fill=1024)
        image = fn.decoders.image(jpeg, device="cpu", output_type=types.RGB)
        return view(image), view(image)

    pipe = pipeline()
    pipe.build()
    return ((pipe.run(), args.batch) for _ in iter(int, 1)), ["nvidia-dali-cuda130"]


def ffcv(files, args):
    import numpy as np
    from ffcv.fields import RGBImageField
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.pipeline.pipeline_spec import PipelineSpec
    from ffcv.transforms import (NormalizeImage, RandomBrightness, RandomContrast, RandomHorizontalFlip,
                                 RandomSaturation, ToTensor, ToTorchImage)
    from ffcv.writer import DatasetWriter
    from PIL import Image

    beton = args.folder.rstrip("/") + ".beton"
    if not os.path.exists(beton):
        pixels = Files(files, lambda path: (np.asarray(Image.open(path).convert("RGB")),))
        DatasetWriter(beton, {"image": RGBImageField("jpg")}, page_size=1 << 25, num_workers=2).from_indexed_dataset(pixels)

    def view():
        decoder = RandomResizedCropRGBImageDecoder((args.size, args.size), scale=SCALE)
        return decoder, [
            RandomHorizontalFlip(), RandomBrightness(0.4, 0.8), RandomContrast(0.4, 0.8), RandomSaturation(0.4, 0.8),
            NormalizeImage(np.array(MEAN) * 255, np.array(STD) * 255, np.float32),
            ToTensor(), ToTorchImage(convert_back_int16=False)]

    (decoder1, steps1), (decoder2, steps2) = view(), view()
    loader = Loader(beton, batch_size=args.batch, num_workers=args.workers, os_cache=True, order=OrderOption.RANDOM,
                    drop_last=True, pipelines={"image": [decoder1, *steps1],
                                               "image2": PipelineSpec("image", decoder=decoder2, transforms=steps2)})
    return ((batch, args.batch) for _ in iter(int, 1) for batch in loader), ["ffcv", "torch"]


def turbojpeg(files, args):
    from turbojpeg import TJPF_RGB, TurboJPEG
    decoder = TurboJPEG()
    blobs = [open(path, "rb").read() for path in files]

    def whole_set():
        for blob in blobs:
            decoder.decode(blob, pixel_format=TJPF_RGB)

    return ((whole_set(), len(blobs)) for _ in iter(int, 1)), ["PyTurboJPEG"]


def measure(batches, seconds):
    """Images a second after a third of the time to warm up, and the cores that this process kept busy meanwhile."""
    _, _ = next(batches)
    started, counted, images = time.perf_counter(), None, 0
    for _, count in batches:
        now = time.perf_counter()
        if counted is None:
            counted, busy = (now, time.process_time()) if now - started >= seconds / 3 else (None, None)
            continue
        images += count
        if now - counted >= seconds:
            return images / (now - counted), (time.process_time() - busy) / (now - counted)


def main():
    peers = {peer.__name__: peer for peer in (torchvision, swav, albumentations, dali, ffcv, turbojpeg)}
    ap = argparse.ArgumentParser()
    ap.add_argument("peer", choices=peers)
    ap.add_argument("folder")
    ap.add_argument("--set", default="imagenet", choices=["imagenet", "cifar"])
    ap.add_argument("--workers", type=int, default=1)
    ap.add_argument("--seconds", type=float, default=12)
    args = ap.parse_args()
    args.size, args.batch, args.blur = (224, 64, True) if args.set == "imagenet" else (32, 512, False)
    files = sorted(glob.glob(os.path.join(args.folder, "**", "*.jpg"), recursive=True))
    batches, packages = peers[args.peer](files, args)
    print("versions: " + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))
    images_per_s, cores_busy = measure(batches, args.seconds)
    print(f"images_per_s: {images_per_s:.2f}", flush=True)
    if args.workers == 0:
        print(f"cores_busy: {cores_busy:.3f}", flush=True)


if __name__ == "__main__":
    main()
