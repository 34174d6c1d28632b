"""Why a leaf has its number: the steps from source to leaf, worked out anew for one account in one cluster."""
