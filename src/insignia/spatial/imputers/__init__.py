"""The ways to fill in expression, one file each; importing this package registers them."""

from insignia.spatial.imputers.asign import Asign
from insignia.spatial.imputers.blend import Blend
from insignia.spatial.imputers.ensemble import Ensemble
from insignia.spatial.imputers.kernel import Kernel
from insignia.spatial.imputers.mean import Mean
from insignia.spatial.imputers.nearest import Nearest
from insignia.spatial.imputers.propagate import Propagate
from insignia.spatial.imputers.ridge import Ridge

__all__ = ["Asign", "Blend", "Ensemble", "Kernel", "Mean", "Nearest", "Propagate", "Ridge"]
