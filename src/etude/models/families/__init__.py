"""One file per family: its parameters, its card, its registration. None loads torch."""

from etude.models.families import airnet as airnet
from etude.models.families import cnn as cnn
from etude.models.families import fast_scnn as fast_scnn
from etude.models.families import gan as gan
from etude.models.families import majority as majority
from etude.models.families import mlp as mlp
from etude.models.families import python as python
from etude.models.families import resnet as resnet
from etude.models.families import smp as smp
from etude.models.families import timm as timm
from etude.models.families import unet as unet
