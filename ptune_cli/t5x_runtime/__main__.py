"""`python -m ptune_cli.t5x_runtime` prints the folder that T5X's --gin_search_paths is to have."""

from ptune_cli.config.search import SHIPPED

if __name__ == "__main__":
    print(SHIPPED)
