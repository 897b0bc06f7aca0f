"""PySceneDetect at the work of process.py: shots_by_scenedetect.py FILM OUT.json"""

import json
import sys

import scenedetect

shots = scenedetect.detect(sys.argv[1], scenedetect.AdaptiveDetector())
with open(sys.argv[2], "w") as out:
    json.dump([[start.frame_num, end.frame_num] for start, end in shots], out)
