"""The images in which agents work and projects are tested: what they are made of, and how they are built and kept."""

from activities.adapters.containers.images.docker_images import DockerImages, ProjectImage, files_in
from activities.adapters.containers.images.layers import BASE_IMAGE, REPOSITORY

__all__ = ["BASE_IMAGE", "REPOSITORY", "DockerImages", "ProjectImage", "files_in"]
