"""The price tables that a gateway uses: kept on disk, refreshed from allowed sources, and checked before use."""
