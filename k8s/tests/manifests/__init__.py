"""What k8s/check holds of the manifests.

market: one rendered overlay, looked at as pods, Services and policies; pods, network, limits, repository: the rules; mutations:
what the rules must refuse; __main__: renders and runs them all.
"""
