"""OpenCV at the works of run.py: opencv.py WORK FILM OUT."""

import sys

import cv2


def main(work, film, out):
    small = work.endswith("-320")
    video = cv2.VideoCapture(film)
    if not video.isOpened():
        sys.exit("OpenCV cannot open the film")
    next_second = 0.0
    count = 0
    # grab() decodes; only retrieve() converts, so frames that nobody wants stay in YUV.
    while video.grab():
        if video.get(cv2.CAP_PROP_POS_MSEC) < next_second * 1000 - 1e-3:
            continue
        ok, picture = video.retrieve()
        if not ok:
            sys.exit("OpenCV cannot retrieve a frame")
        next_second += 1.0
        if small:
            height = round(320 * picture.shape[0] / picture.shape[1])
            picture = cv2.resize(picture, (320, height), interpolation=cv2.INTER_AREA)
        cv2.imwrite(f"{out}/{count:05d}.jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        count += 1


main(*sys.argv[1:])
