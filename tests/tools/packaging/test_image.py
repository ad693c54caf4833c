"""An image's build context: a Dockerfile and the package, in a place that is free or ours."""

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.image import dockerfile, write_image
from servelite.tools.packaging.target import Target
from tests.tools.packaging.trees import write_files


def test_the_image_starts_the_handler_under_lambda_s_runtime_client():
    lines = dockerfile(Target("3.13", "arm64")).splitlines()
    assert "ARG BASE=python:3.13-slim" in lines
    assert "FROM ${BASE}" in lines
    assert "COPY root/ /var/task/" in lines
    assert lines[-2:] == ['ENTRYPOINT ["python", "-m", "awslambdaric"]', 'CMD ["servelite.adapters.aws_lambda.handler"]']


def test_a_context_is_replaced_and_another_folder_is_not(tmp_path):
    write_files(tmp_path / "tree", {"a.py": ""})
    write_image(tmp_path / "tree", tmp_path / "image", Target("3.13", "arm64"))
    write_files(tmp_path / "image", {"root/old.py": ""})
    write_image(tmp_path / "tree", tmp_path / "image", Target("3.13", "arm64"))
    assert sorted(str(file.relative_to(tmp_path / "image")) for file in (tmp_path / "image").rglob("*")) == [
        "Dockerfile",
        "root",
        "root/a.py",
    ]
    write_files(tmp_path / "pictures", {"cat.png": ""})
    with pytest.raises(DefinitionError, match="pictures is there and was not made by servelite package"):
        write_image(tmp_path / "tree", tmp_path / "pictures", Target("3.13", "arm64"))
    assert (tmp_path / "pictures" / "cat.png").exists()
