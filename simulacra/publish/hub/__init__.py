"""Publication of a model on the Hugging Face Hub: its folder, its model card, its license, and the upload."""
