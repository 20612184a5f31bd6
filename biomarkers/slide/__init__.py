"""Files -> tiles: readers, slides, tissue, quality."""
