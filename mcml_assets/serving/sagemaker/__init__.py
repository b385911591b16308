"""The endpoint platform of Amazon SageMaker, and how our model server runs in its containers."""
