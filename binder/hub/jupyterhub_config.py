"""A hub for a class: one container for each student, from the image of `binder/hub/Dockerfile`.

Install `jupyterhub`, `dockerspawner` and `jupyterhub-idle-culler` beside the hub, make the network once with
`docker network create cnnexplore`, and run `jupyterhub -f binder/hub/jupyterhub_config.py`. How students sign in is
yours to choose: without an authenticator of yours nobody can.
"""

import sys

c = get_config()  # noqa: F821

c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = "cnnexplore-seat"
c.DockerSpawner.cmd = ["start-seat"]
c.DockerSpawner.network_name = "cnnexplore"
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.remove = True
c.DockerSpawner.volumes = {
    "cnnexplore-{username}": "/home/student",  # answers survive a restart
    "cnnexplore-exchange": "/usr/local/share/nbgrader/exchange",  # nbgrader hands out and collects here
}

# A seat: the measured peak of a lab is below 2 GB. A limit kills the kernel, so there is some room above it.
c.DockerSpawner.mem_limit = "3G"
c.DockerSpawner.cpu_limit = 2
c.DockerSpawner.environment = {"OMP_NUM_THREADS": "1"}

# Thirty seats at once: servers start in groups, so that the machine is not busy with imports only.
c.JupyterHub.concurrent_spawn_limit = 8
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 120

# A seat that has been idle for two hours ends; the notebooks are in its volume.
c.JupyterHub.load_roles = [
    {
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    }
]
c.JupyterHub.services = [
    {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=7200"]}
]
