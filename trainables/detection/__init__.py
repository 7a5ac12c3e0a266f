"""Object detection with SSD: data, model, loss, evaluation and per-image gradients."""

from trainables.detection.coco import read_coco
from trainables.detection.data import DetectionData, load_detection
from trainables.detection.dataset import Category, DetectionSet, Skipped
from trainables.detection.drawing import draw_detections
from trainables.detection.evaluation import mean_average_precision
from trainables.detection.gradients import HeadSketch, exact_gradients, head_gradients
from trainables.detection.loss import ImageLosses, image_losses
from trainables.detection.models import SSD, SSD_RECIPES, build_ssd
from trainables.detection.prediction import Detections, detect
from trainables.detection.synthetic import SHAPES, shapes, write_coco_folder
from trainables.detection.task import ObjectDetectionTask

__all__ = [
    "SHAPES",
    "SSD",
    "SSD_RECIPES",
    "Category",
    "DetectionData",
    "DetectionSet",
    "Detections",
    "HeadSketch",
    "ImageLosses",
    "ObjectDetectionTask",
    "Skipped",
    "build_ssd",
    "detect",
    "draw_detections",
    "exact_gradients",
    "head_gradients",
    "image_losses",
    "load_detection",
    "mean_average_precision",
    "read_coco",
    "shapes",
    "write_coco_folder",
]
