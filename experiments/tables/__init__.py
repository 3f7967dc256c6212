"""The paper's tables from run folders, beside the published numbers."""
