"""GANs of other packages: a package to start from (`new_gan`), and the checks that every GAN must pass (`checks`)."""
