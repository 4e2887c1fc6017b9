"""The row of OpenAI's embeddings. A lane that speaks this dialect answers nothing else."""

from serve.dialects.dialect import Dialect
from serve.dialects.embeddings import NAME
from serve.dialects.embeddings.native import NativeEmbeddings

EMBEDDINGS = Dialect(name=NAME, paths=("/embeddings", "/embeddings"), native=NativeEmbeddings())
